/** A child of directory.test.ts, under a file-size limit: writes more than fits, prints the end. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { RefusalError } from '../../src/errors.ts';
import { openDirectory } from '../../src/storage/directory.ts';

const [root = '', key = ''] = process.argv.slice(2);
const storage = await openDirectory(root);
await storage.write(key, Buffer.from('old'));
const error = await storage
  .write(key, Buffer.alloc(4_000_000))
  .catch((refusal: unknown) => refusal);
const outcome = {
  ...(error instanceof RefusalError ? { code: error.code, message: error.message } : { error }),
  old: await text(await storage.read(key)),
  staged: readdirSync(join(root, 'pool/.staging')),
};
process.stdout.write(JSON.stringify(outcome));
