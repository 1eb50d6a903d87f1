/**
 * Every figure the project claims, one after another: `npm run bench`, or `npm run bench -- serve`
 * for those whose name contains the word. Prints a table; asserts nothing.
 */
import { measureServing } from './serve.ts';
import { measureSize } from './size.ts';
import { measureStart } from './start.ts';
import { measureTrust } from './trust.ts';
import { measureUploads } from './upload.ts';

const BENCHES: Record<string, () => Promise<void> | void> = {
  start: measureStart,
  upload: measureUploads,
  serve: measureServing,
  trust: measureTrust,
  size: measureSize,
};

const wanted = process.argv[2] ?? '';
for (const [name, measure] of Object.entries(BENCHES)) {
  if (!name.includes(wanted)) continue;
  console.log(`\n== ${name}`);
  await measure();
}
