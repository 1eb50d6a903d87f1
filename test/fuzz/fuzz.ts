/**
 * Every fuzz, one after the other; what is said behind it goes to each:
 *
 *     npm run fuzz                                # four million inputs, seeds of their own
 *     npm run fuzz -- --seed 7 --inputs 50000     # as often as one likes
 *
 * Exit status 1 where there is a finding in any.
 */
import { spawnSync } from 'node:child_process';

for (const name of ['formats.ts', 'pki.ts']) {
  const program = new URL(name, import.meta.url).pathname;
  const { status } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exitCode = 1;
}
