/**
 * What a package puts on a host, and its lines in a Contents index: a path, white space, and
 * section/package. Source of truth: DebianRepository/Format, section Contents indices;
 * apt-ftparchive(1) contents, which names every member of data.tar but the directories. Floor 1.
 */

/** Paths of one package that are kept; what has more than this has no lines at all. */
export const MAX_PATHS_BYTES = 64 * 1024 * 1024;

/** Pieces of about this size are held, not one string for every path. */
const PIECE_CHARACTERS = 64 * 1024;

/** The paths of one package, taken one by one while its data.tar is read. */
export class PathList {
  /** Bytes of the paths so far, a newline after each. */
  size = 0;
  readonly #pieces: Buffer[] = [];
  #piece: string[] = [];
  #pieceSize = 0;
  readonly #limitBytes: number;

  constructor(limitBytes = MAX_PATHS_BYTES) {
    this.#limitBytes = limitBytes;
  }

  /** Whether every path is here; false past the limit. */
  get isWhole(): boolean {
    return this.size <= this.#limitBytes;
  }

  /** @param name a member's name as written, one character a byte. */
  add(name: string): void {
    const path = normalise(name);
    // A line is all that such an index has: a path that needs two would be read as two packages'.
    if (path === '' || path.includes('\n')) return;
    this.size += path.length + 1;
    if (!this.isWhole) {
      this.#pieces.length = 0;
      this.#piece = [];
      return;
    }
    this.#piece.push(path);
    this.#pieceSize += path.length + 1;
    if (this.#pieceSize >= PIECE_CHARACTERS) this.#closePiece();
  }

  /** The paths, a newline after each; nothing past the limit. */
  toBuffer(): Buffer {
    this.#closePiece();
    return Buffer.concat(this.#pieces);
  }

  #closePiece(): void {
    if (this.#piece.length === 0) return;
    this.#pieces.push(Buffer.from(`${this.#piece.join('\n')}\n`, 'latin1'));
    this.#piece = [];
    this.#pieceSize = 0;
  }
}

/** Without the `./` or `/` that a member's name may begin with. */
function normalise(name: string): string {
  return name.replace(/^(?:\.?\/+)+/, '');
}

/**
 * `section/package`, or the package alone where its section could be read as something else: a
 * reader takes the line's last word for it and parts that at commas.
 * @param stanza as it stands in Packages.
 */
export function locate(name: string, stanza: Uint8Array): string {
  const text = Buffer.from(stanza.buffer, stanza.byteOffset, stanza.length).toString('latin1');
  const section = /^Section:[ \t]*(.*?)[ \t]*$/im.exec(text)?.[1] ?? '';
  return /^[\x21-\x2b\x2d-\x7e]+$/.test(section) ? `${section}/${name}` : name;
}

/** @param paths a newline after each. @returns one line each, a tab before the location. */
export function renderContents(paths: Uint8Array, location: string): Buffer {
  const text = Buffer.from(paths.buffer, paths.byteOffset, paths.length).toString('latin1');
  return Buffer.from(text.split('\n').join(`\t${location}\n`), 'latin1');
}
