/**
 * Where a repository of others lies: a folder of this machine, or a server. Paths are relative to
 * it, and proven to stay inside by whoever read them. Floor 2.
 */

export interface ForeignPlace {
  /** As it is named in messages. */
  readonly name: string;
  /**
   * A small file whole; undefined where there is none.
   * @throws RefusalError SOURCE_UNACCEPTABLE where it is larger, or cannot be read.
   */
  read(path: string, maxBytes: number): Promise<Buffer | undefined>;
  /**
   * A file of that size on this machine; where it had to be fetched it is staged, and gone after
   * `close`.
   * @throws RefusalError SOURCE_UNACCEPTABLE, SPACE_EXHAUSTED
   */
  bring(path: string, size: number): Promise<string>;
  close(): Promise<void>;
}
