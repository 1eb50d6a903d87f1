/**
 * Every figure the project claims, one after another: `npm run bench`, or `npm run bench -- serve`
 * for those whose name contains the word. Prints a table; asserts nothing.
 */
import { measureIngest } from './ingest.ts';
import { measurePublishing } from './publish/publish.ts';
import { measureServing } from './serving/serve.ts';
import { measureSize } from './size.ts';
import { measureStart } from './start.ts';
import { measureStorm } from './storm.ts';
import { measureTrust } from './trust.ts';
import { measureUploads } from './upload.ts';

/** `words` are what follows the name. */
const BENCHES: Record<string, (words: readonly string[]) => Promise<void> | void> = {
  start: measureStart,
  upload: measureUploads,
  ingest: measureIngest,
  publish: measurePublishing,
  serve: measureServing,
  storm: measureStorm,
  trust: measureTrust,
  size: measureSize,
};

const [wanted = '', ...words] = process.argv.slice(2);
for (const [name, measure] of Object.entries(BENCHES)) {
  if (!name.includes(wanted)) continue;
  console.log(`\n== ${name}`);
  await measure(words);
}
