/**
 * A package read to its end while it comes, so that little is left to do after its last byte. For
 * what is stored or in gzip: a slow sender must not hold a decoder with a large dictionary. Floor 3.
 */
import { type PackageArchive, readPackage, verifyData } from '../deb/archive.ts';
import type { ByteSource } from '../deb/byte-source.ts';
import { PathList } from '../deb/contents.ts';

/** data.tar may unpack to this much; past it a package is refused as a bomb. */
export const MAX_DATA_BYTES = 64 * 1024 ** 3;

/** What is known of a package whose every byte was read. */
export interface Proof {
  archive: PackageArchive;
  /** Of all files in data.tar, a newline after each. */
  paths: Uint8Array;
}

/** @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE */
export async function readToEnd(source: ByteSource, archive: PackageArchive): Promise<Proof> {
  const paths = new PathList();
  await verifyData(source, archive, { outputBytes: MAX_DATA_BYTES }, (path) => paths.add(path));
  return { archive, paths: paths.toBuffer() };
}

/**
 * Resolves when everything has come and is right; undefined where it is not, or cannot be read this
 * way: whoever reads the whole file then finds the words. Never rejects.
 */
export async function proveEarly(source: ByteSource): Promise<Proof | undefined> {
  try {
    const archive = await readPackage(source);
    const { compression } = archive.data;
    if (compression !== 'gz' && compression !== 'none') return undefined;
    return await readToEnd(source, archive);
  } catch {
    return undefined;
  }
}
