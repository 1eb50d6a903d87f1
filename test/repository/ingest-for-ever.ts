/** A child of crash.test.ts: ingests one package after another until it is killed. */

import { readFileSync } from 'node:fs';
import { readSigningKey } from '../../src/signing/key.ts';
import { createPackage, ingest, openRepository } from './open.ts';

const [root = '', keyFile = '', round = ''] = process.argv.slice(2);
const key = await readSigningKey(readFileSync(keyFile, 'utf8'));
const parts = await openRepository(root, { key });
const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** Two at a time, so that publications are shared and what one leaves meets the other's work. */
async function work(lane: string): Promise<void> {
  for (let number = 0; ; number += 1) {
    const [added] = await ingest(parts, [
      createPackage({ name: `r${round}${lane}${number}`, content: 'x'.repeat(3000) }),
    ]);
    say(`added ${added?.filename} ${added?.sha256}`);
  }
}

say('open');
await Promise.all([work('a'), work('b')]);
