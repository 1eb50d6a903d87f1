/** A file on its way to the repository, counted while it is read. Floor 9. */
import { createReadStream } from 'node:fs';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Progress } from './performer.ts';

const READ_BUFFER_BYTES = 1_048_576;

/**
 * The bytes of a file. Counted by a stage of its own: a listener for `data` on the file's stream
 * would set it flowing, and what came before the receiver was ready would be lost.
 */
export function openUpload(path: string, progress: Progress): Readable {
  const counter = new Transform({
    highWaterMark: READ_BUFFER_BYTES,
    transform(chunk: Buffer, _encoding, done) {
      progress(chunk.length);
      done(null, chunk);
    },
  });
  const file = createReadStream(path, { highWaterMark: READ_BUFFER_BYTES });
  // A failure destroys the counter, and so reaches whoever reads it.
  pipeline(file, counter).catch(() => {});
  return counter;
}
