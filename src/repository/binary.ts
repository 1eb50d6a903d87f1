/**
 * One received binary package, read and proven from what is inside it, never from its file name.
 * Floor 3.
 */
import type { PackedPaths } from '../catalog/contents.ts';
import { type PackageArchive, readPackage } from '../deb/archive.ts';
import { type Control, parseControl } from '../deb/control.ts';
import { holdsSymbols, kindOf } from '../deb/kind.ts';
import type { PackageKind } from '../deb/layout.ts';
import { matchesPattern } from '../deb/names.ts';
import { RefusalError } from '../errors.ts';
import { packPaths } from './contents.ts';
import { readToEnd } from './early-proof.ts';
import { type IngestRequest, openReceivedFile, type ReceivedFile } from './ingest-request.ts';
import { MIN_PROVEN_BYTES, type Prover } from './prover.ts';
import type { Suite } from './suites.ts';

export interface ProvenBinary {
  control: Control;
  kind: PackageKind;
  contents: PackedPaths;
  /** Whether it holds nothing but debugging symbols. */
  isDebug: boolean;
  file: ReceivedFile;
}

/** @throws RefusalError PACKAGE_FORBIDDEN */
export function checkAllowed(
  { actor, packages }: Pick<IngestRequest, 'actor' | 'packages'>,
  name: string,
): void {
  if (packages === null || packages.some((pattern) => matchesPattern(pattern, name))) return;
  throw new RefusalError(
    'PACKAGE_FORBIDDEN',
    `${actor} may add the packages ${packages.join(', ')}, not ${name}`,
  );
}

function checkArchitecture(control: Control, suite: Suite): void {
  if (control.architecture === 'all' || suite.architectures.includes(control.architecture)) return;
  throw new RefusalError(
    'PACKAGE_UNACCEPTABLE',
    `Architecture ${control.architecture}: suite ${suite.name} holds ${suite.architectures.join(', ')} and all`,
  );
}

/**
 * Reads and proves the archive, judged by the name inside it; nothing is placed yet.
 * @param named its name in a .changes; '' where none names it.
 * @throws RefusalError PACKAGE_MALFORMED, PACKAGE_UNACCEPTABLE, PACKAGE_FORBIDDEN
 */
export async function proveBinary(
  prover: Prover,
  file: ReceivedFile,
  request: IngestRequest,
  suite: Suite,
  named: string,
): Promise<ProvenBinary> {
  const { control, paths } = await proveFile(prover, file, (archive) => {
    const found = parseControl(archive.control);
    checkAllowed(request, found.name);
    return found;
  });
  checkArchitecture(control, suite);
  const kind = kindOf(control, named);
  const isDebug = holdsSymbols(control, kind);
  return { control, kind, contents: await packPaths(paths), isDebug, file };
}

/** @param accept reads the control file, and refuses it before data.tar is read. */
async function proveFile(
  prover: Prover,
  file: ReceivedFile,
  accept: (archive: PackageArchive) => Control,
): Promise<{ control: Control; paths: Uint8Array }> {
  const early = file.path === undefined ? undefined : await file.proof;
  if (early) return { control: accept(early.archive), paths: early.paths };
  const source = await openReceivedFile(file);
  try {
    const archive = await readPackage(source);
    const control = accept(archive);
    const isLarge = file.path !== undefined && file.size >= MIN_PROVEN_BYTES;
    const { paths } = await (isLarge
      ? prover.prove(file.path, file.size)
      : readToEnd(source, archive));
    return { control, paths };
  } finally {
    await source.close();
  }
}
