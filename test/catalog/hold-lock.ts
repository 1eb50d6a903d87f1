/** A child of lock-file.test.ts: holds the lock of a directory until it is killed. */
import { setInterval } from 'node:timers';
import { lockDirectory } from '../../src/catalog/lock-file.ts';

await lockDirectory(process.argv[2] ?? '', 0);
process.stdout.write('locked\n');
setInterval(() => {}, 60_000);
