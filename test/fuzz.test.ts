/** A short run of the fuzz over Debian's formats and requests, the same inputs every time. */
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CHECKOUT, run } from './e2e/command.ts';

it('finds nothing in the readers of Debian’s formats and of requests', async () => {
  const args = ['test/fuzz/formats.ts', '--seed', '20201126', '--inputs', '60000'];
  const { status, stdout } = await run(join(CHECKOUT, 'node_modules/.bin/node'), args, {
    cwd: CHECKOUT,
  });
  expect([status, stdout.match(/^FINDING .*$/gm)]).toEqual([0, null]);
  expect(stdout).toMatch(/^version +\d+ +\d+ /m);
});
