/**
 * Indexes that many hosts ask for, whole and in memory: by their hash, so that what is kept is right
 * for ever, and bounded, the one that was asked for longest ago going first. Floor 7.
 */
import { ByteCache } from '../byte-cache.ts';
import type { ObjectPiece } from '../repository/published-files.ts';
import type { Storage } from '../storage/storage.ts';
import { PieceReader } from './send.ts';

/** Larger ones are read anew each time, at little cost beside their encryption. */
export const MAX_SMALL_BYTES = 1_048_576;
const MAX_KEPT_BYTES = 16 * 1_048_576;

const kept = new ByteCache(MAX_KEPT_BYTES);

/** The bytes with this hash; read from their pieces where they are not in memory. */
export async function readSmall(
  storage: Storage,
  sha256: string,
  pieces: readonly ObjectPiece[],
): Promise<Buffer> {
  const known = kept.get(sha256);
  if (known) return known;
  const reader = await PieceReader.open(storage, pieces);
  try {
    const bytes = Buffer.allocUnsafeSlow(reader.left);
    await reader.fill(bytes);
    kept.keep(sha256, bytes);
    return bytes;
  } finally {
    await reader.close();
  }
}
