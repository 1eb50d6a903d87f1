/** What is asked of an ingest, and what it answers. Floor 3. */
import type { AuditNote } from '../catalog/audit.ts';
import { type ByteSource, bytesOf } from '../deb/byte-source.ts';
import { openFileSource } from '../storage/file-source.ts';
import type { Proof } from './early-proof.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';

export interface IngestParts extends Repository {
  publisher: Publisher;
}

/** A received file, whole and hashed; `sha256` in lower-case hex. A small one is in memory only. */
export type ReceivedFile = { size: number; sha256: string } & (
  | {
      path: string;
      bytes?: undefined;
      /** Under way since it began to come; settled soon after its end, and never rejected. */
      proof?: Promise<Proof | undefined>;
    }
  | { bytes: Buffer; path?: undefined }
);

/** For the readers of deb/; `close` gives back what it holds. */
export async function openReceivedFile(
  file: ReceivedFile,
): Promise<ByteSource & { close(): Promise<void> }> {
  if (file.bytes === undefined) return openFileSource(file.path);
  return { ...bytesOf(file.bytes), close: async () => {} };
}

export interface IngestRequest {
  /** Taken whole or not at all: one refused file refuses them all. */
  files: readonly ReceivedFile[];
  /** Received before, to be named by a .changes or .dsc among `files`; the rest stays as it is. */
  waiting?: readonly ReceivedFile[];
  suite: string;
  component: string | undefined;
  actor: string;
  /** Patterns of the package names that may be added; null for all. */
  packages: readonly string[] | null;
  /** Takes a .changes whose Distribution is another suite as well. */
  anyDistribution?: boolean;
  /** Made by the server itself: nobody is asked for a signature. */
  isOwn?: boolean;
  /** For the audit log, written with the publication where there is one. */
  notes?: readonly AuditNote[];
  /** Asked once more before anything is placed: a certificate may be revoked in mid-upload. */
  confirm: () => void;
}

/** `isNew` is false where exactly these bytes were listed there before. */
export interface IngestResult {
  package: string;
  version: string;
  /** `source` for a source package. */
  architecture: string;
  suite: string;
  component: string;
  filename: string;
  size: number;
  sha256: string;
  publication: number;
  isNew: boolean;
}
