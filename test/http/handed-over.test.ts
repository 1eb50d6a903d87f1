/**
 * The edge once more, with workers in front: whoever is answered by a worker, or through one by the
 * main process, is answered as by a single process. The cases are those of the files named here.
 */
import { describe } from 'vitest';

process.env.APTKEEP_TEST_WORKERS = '2';

describe('with two workers', async () => {
  await import('./upload.test.ts');
  await import('./files.test.ts');
  await import('../attack/smuggling.test.ts');
  await import('../attack/authorisation.test.ts');
  await import('../attack/reading.test.ts');
});
