/** A child of directory.test.ts: writes one object over and over, prints what was acknowledged. */
import { writeSync } from 'node:fs';
import { openDirectory } from '../../src/storage/directory.ts';

const [root = '', key = ''] = process.argv.slice(2);
const storage = await openDirectory(root);
for (let n = 1; n < 256; n += 1) {
  await storage.write(key, Buffer.alloc(2_000_000 + n, n));
  writeSync(1, `${n}\n`);
}
