import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { it } from 'vitest';
import { createPackage, ingest, openRepository, publishFirst } from './open.ts';
it('costs', async () => {
  for (const options of [{ contents: false }, { contents: false, pdiffs: true }, { contents: false, xz: true }]) {
    const root = mkdtempSync(join(tmpdir(), 'cost-'));
    const parts = await openRepository(root);
    await publishFirst(parts, { architectures: ['amd64'], options });
    const fields = Array.from({ length: 8 }, (_, i) => `X-F${i}: some words of a description ${i}\n`).join('');
    for (let b = 0; b < 10; b += 1) {
      await ingest(parts, Array.from({ length: 200 }, (_, i) => createPackage({ name: `p${b}-${i}`, fields: `${fields}X-R: ${Math.random()}${Math.random()}\n` })));
    }
    const times: number[] = [];
    for (let i = 0; i < 40; i += 1) {
      const rows = await parts.catalog.all<never>('SELECT * FROM package WHERE name = $1', `p3-${i}`);
      const change = i % 2
        ? { additions: [], removals: [{ component: 'main', row: rows[0] as never }], reason: '', actor: '' }
        : undefined;
      const t = performance.now();
      if (change) await parts.publisher.submit('stable', change);
      else await ingest(parts, [createPackage({ name: `q${i}`, fields })]);
      times.push(performance.now() - t);
    }
    const sort = (xs: number[]) => xs.sort((a, b) => a - b)[Math.floor(xs.length / 2)];
    console.log(JSON.stringify(options), 'add', sort(times.filter((_, i) => i % 2 === 0 && i > 10)), 'remove', sort(times.filter((_, i) => i % 2 === 1 && i > 10)));
    await parts.close();
    rmSync(root, { recursive: true });
  }
}, 600000);
