/** Bytes kept in memory by name, up to a limit; what was asked for longest ago goes first. Floor 0. */
export class ByteCache {
  readonly #limitBytes: number;
  /** The least used first. */
  readonly #kept = new Map<string, Buffer>();
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  get(name: string): Buffer | undefined {
    const bytes = this.#kept.get(name);
    if (!bytes) return undefined;
    this.#kept.delete(name);
    this.#kept.set(name, bytes);
    return bytes;
  }

  keep(name: string, bytes: Buffer): void {
    this.#drop(name);
    this.#kept.set(name, bytes);
    this.#bytes += bytes.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.#limitBytes) return;
      this.#drop(oldest);
    }
  }

  /** Keeps it where there is room. Who reads more than fits, one after another, then finds some of it. */
  offer(name: string, bytes: Buffer): void {
    const known = this.#kept.get(name)?.length ?? 0;
    if (this.#bytes - known + bytes.length <= this.#limitBytes) this.keep(name, bytes);
  }

  #drop(name: string): void {
    this.#bytes -= this.#kept.get(name)?.length ?? 0;
    this.#kept.delete(name);
  }
}
