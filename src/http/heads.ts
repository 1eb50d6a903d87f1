/** Heads of answers with a file, as Node writes them without looking at each. Floor 7. */
import type { ByteRange } from '../storage/storage.ts';
import type { Resource } from './resources.ts';

export const IMMUTABLE = 'private, max-age=31536000, immutable';

/** Name, value, name, value. */
export function describeHead(resource: Resource, range: ByteRange | undefined): string[] {
  const { size, type, modified, etag, immutable, body } = resource;
  const head = [
    ...['Content-Type', type],
    ...['Content-Length', String(range ? range.end - range.start + 1 : size)],
    ...['Last-Modified', new Date(modified).toUTCString()],
    ...['ETag', etag],
    ...['Cache-Control', immutable ? IMMUTABLE : 'private, no-cache'],
  ];
  if (body.kind !== 'stream') head.push('Accept-Ranges', 'bytes');
  if (range) head.push('Content-Range', `bytes ${range.start}-${range.end}/${size}`);
  return head;
}

/** Of a 304. */
export const describeUnchanged = ({ modified, etag }: Resource): string[] => [
  ...['Last-Modified', new Date(modified).toUTCString()],
  ...['ETag', etag],
];
