/** A child of lock-file.test.ts, under a file-size limit of nothing: takes the lock, prints the end. */
import { lockDirectory } from '../../src/catalog/lock-file.ts';

const outcome = await lockDirectory(process.argv[2] ?? '', 0).then(
  async (lock) => {
    await lock.release();
    return 'held';
  },
  (error: unknown) => String(error),
);
process.stdout.write(JSON.stringify({ outcome }));
