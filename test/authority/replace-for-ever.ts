/** Replaces files together again and again, each time by other contents, until it is killed. */
import { replaceTogether } from '../../src/authority/replacement.ts';

const [root = '', ...names] = process.argv.slice(2);
for (let number = 1; ; number += 1) {
  const content = `${number}`.repeat(200);
  await replaceTogether(
    root,
    names.map((name) => ({ name, content, mode: 0o600 })),
  );
  process.stdout.write(`${number}\n`);
}
