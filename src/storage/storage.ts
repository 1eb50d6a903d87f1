/**
 * PORT: bytes by key. Keys are relative paths of '/'-separated segments under `pool/` or `dists/`,
 * made by deb/layout.ts and nobody else. Defined by test/conformance/storage.ts, which every
 * adapter runs: a reader never sees half an object; concurrent writes leave one of them whole;
 * an object of 2 GiB streams in constant memory. Floor 2.
 */
import type { Readable } from 'node:stream';

/** `modified` is in milliseconds since the epoch, of the last write. */
export interface ObjectStat {
  size: number;
  modified: number;
}

/** Bytes `start` to `end`, both inclusive, counted from 0, as in HTTP. */
export interface ByteRange {
  start: number;
  end: number;
}

/** A complete file on the staging filesystem; a write takes it over, so that it is gone after. */
export interface StagedFile {
  path: string;
  size: number;
}

/** A file of this machine that becomes an object and stays what and where it is. */
export interface AdoptedFile {
  key: string;
  path: string;
  size: number;
  /** Milliseconds since the epoch, as stat(2) has it: another one, and the file is refused. */
  modified: number;
}

/** An object as it was when it was opened, also when it is replaced or removed meanwhile. */
export interface OpenObject extends ObjectStat {
  /**
   * Up to `length` bytes from `position` on into a buffer, from `offset` on; resolves with how many,
   * 0 at the end of the object.
   */
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<number>;
  close(): Promise<void>;
}

/** Every method refuses what is no key (key.ts) with PATH_UNKNOWN. */
export interface Storage {
  /** Undefined where there is no such object. */
  stat(key: string): Promise<ObjectStat | undefined>;
  /**
   * The object as it is now, also when it is replaced or removed while it is read; `end` may lie
   * beyond it. A stream that is not read to its end has to be destroyed.
   * @throws an error whose code is ENOENT where there is no such object.
   * @throws RefusalError RANGE_UNSATISFIABLE where the range begins beyond its end.
   */
  read(key: string, range?: ByteRange): Promise<Readable>;
  /**
   * The same for who brings buffers of their own; it has to be closed.
   * @throws an error whose code is ENOENT where there is no such object.
   */
  open(key: string): Promise<OpenObject>;
  /**
   * Durable when it resolves; replaces an object of the same key in one step.
   * @throws RefusalError SPACE_EXHAUSTED
   */
  write(key: string, source: Uint8Array | StagedFile): Promise<void>;
  /**
   * Many files at once; durable when it resolves, and each replaces an object of the same key in
   * one step. Where it fails, some of them may be there.
   * @throws RefusalError SPACE_EXHAUSTED, SOURCE_UNACCEPTABLE where a file was changed meanwhile.
   */
  adopt(files: readonly AdoptedFile[]): Promise<void>;
  /**
   * The object as a file of this machine at a path where nothing is, in a folder that is there;
   * its bytes are shared where that can be, so that the file must not be written to.
   * @throws an error whose code is ENOENT where there is no such object.
   * @throws RefusalError SPACE_EXHAUSTED
   */
  lend(key: string, path: string): Promise<void>;
  /** No error where there is nothing to remove. */
  remove(key: string): Promise<void>;
  /** Every key that begins with the prefix, in no order. */
  list(prefix: string): AsyncIterable<string>;
  close(): Promise<void>;
}
