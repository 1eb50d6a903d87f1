/**
 * Files on their way to the repository, counted while they are read: one as it is, several as a
 * form. Source of truth: RFC 7578. Floor 9.
 */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { Readable, Transform } from 'node:stream';
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

/** A body of known length. */
export interface UploadBody {
  content: Readable;
  type: string;
  size: number;
}

export async function openRaw(path: string, progress: Progress): Promise<UploadBody> {
  const { size } = await stat(path);
  return { content: openUpload(path, progress), type: 'application/octet-stream', size };
}

/** A form with one part for each file, of the name the server asks for. */
export async function openForm(paths: readonly string[], progress: Progress): Promise<UploadBody> {
  const boundary = `aptkeep-${randomBytes(24).toString('hex')}`;
  const parts: { head: Buffer; path: string; size: number }[] = [];
  for (const path of paths) {
    const name = basename(path).replace(/[^\x20-\x7e]|["\\%]/g, '_');
    const head = Buffer.from(
      `--${boundary}\r\nContent-Disposition: form-data; name="package"; filename="${name}"\r\nContent-Type: application/octet-stream\r\n\r\n`,
    );
    parts.push({ head, path, size: (await stat(path)).size });
  }
  const [gap, end] = [Buffer.from('\r\n'), Buffer.from(`--${boundary}--\r\n`)];
  async function* write(): AsyncGenerator<Buffer> {
    for (const { head, path } of parts) {
      yield head;
      yield* openUpload(path, progress);
      yield gap;
    }
    yield end;
  }
  const size = parts.reduce(
    (sum, one) => sum + one.head.length + one.size + gap.length,
    end.length,
  );
  const content = Readable.from(write(), { objectMode: false });
  return { content, type: `multipart/form-data; boundary=${boundary}`, size };
}
