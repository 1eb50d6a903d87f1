/**
 * Edits of a text of lines, and two of them made one: how an index came from an older one, without
 * either of them at hand. Positions are lines, contents are bytes. Floor 1.
 */

/** Something replaced at one place; `add` is whole lines, each with its newline. */
export interface Hunk {
  /** Lines of the old text before it. */
  at: number;
  /** Lines of the old text that go. */
  drop: number;
  add: Uint8Array;
}

/** Hunks in the order of the text, at least one line kept between two. */
export type LineEdit = readonly Hunk[];

const NEWLINE = 0x0a;
const NOTHING = new Uint8Array(0);

export function countLines(bytes: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count += 1;
  return count;
}

/** A run of lines of one kind; what is kept at the end has no end. */
interface Run {
  kind: 'keep' | 'drop' | 'add';
  lines: number;
  text: Uint8Array;
}

function* listRuns(edit: LineEdit): Generator<Run, Run> {
  let at = 0;
  for (const hunk of edit) {
    if (hunk.at > at) yield { kind: 'keep', lines: hunk.at - at, text: NOTHING };
    if (hunk.drop > 0) yield { kind: 'drop', lines: hunk.drop, text: NOTHING };
    if (hunk.add.length > 0) yield { kind: 'add', lines: countLines(hunk.add), text: hunk.add };
    at = hunk.at + hunk.drop;
  }
  for (;;) yield { kind: 'keep', lines: Number.POSITIVE_INFINITY, text: NOTHING };
}

/** Runs taken a few lines at a time. */
class RunReader {
  readonly #runs: Generator<Run, Run>;
  current: Run;

  constructor(edit: LineEdit) {
    this.#runs = listRuns(edit);
    this.current = this.#runs.next().value;
  }

  /** The first lines of the current run, which is over when none are left. */
  take(lines: number): Run {
    const { kind, text } = this.current;
    if (lines >= this.current.lines) {
      const whole = this.current;
      this.current = this.#runs.next().value;
      return whole;
    }
    let end = 0;
    if (kind === 'add') for (let i = 0; i < lines; i += 1) end = text.indexOf(NEWLINE, end) + 1;
    this.current = { kind, lines: this.current.lines - lines, text: text.subarray(end) };
    return { kind, lines, text: text.subarray(0, end) };
  }
}

/** Writes an edit down in the order of the text; what is kept at the end need not be said. */
export class HunkWriter {
  readonly #hunks: Hunk[] = [];
  #at = 0;
  #drop = 0;
  #added: Uint8Array[] = [];

  keep(lines: number): void {
    if (lines === 0) return;
    this.#close();
    this.#at += lines;
  }

  drop(lines: number): void {
    this.#drop += lines;
  }

  add(text: Uint8Array): void {
    if (text.length > 0) this.#added.push(text);
  }

  /** The edit as it is whole. */
  finish(): LineEdit {
    this.#close();
    return this.#hunks;
  }

  #close(): void {
    if (this.#drop === 0 && this.#added.length === 0) return;
    const [only] = this.#added;
    const add = only && this.#added.length === 1 ? only : Buffer.concat(this.#added);
    this.#hunks.push({ at: this.#at, drop: this.#drop, add });
    this.#at += this.#drop;
    this.#drop = 0;
    this.#added = [];
  }
}

/** The edit that does what `first` does, and then what `second` does. */
export function composeEdits(first: LineEdit, second: LineEdit): LineEdit {
  const before = new RunReader(first);
  const after = new RunReader(second);
  const writer = new HunkWriter();
  for (;;) {
    if (before.current.kind === 'drop') {
      writer.drop(before.take(Number.POSITIVE_INFINITY).lines);
    } else if (after.current.kind === 'add') {
      writer.add(after.take(Number.POSITIVE_INFINITY).text);
    } else {
      const lines = Math.min(before.current.lines, after.current.lines);
      if (lines === Number.POSITIVE_INFINITY) break;
      const given = before.take(lines);
      const wanted = after.take(lines).kind === 'keep';
      if (given.kind === 'add') writer.add(wanted ? given.text : NOTHING);
      else if (wanted) writer.keep(lines);
      else writer.drop(lines);
    }
  }
  return writer.finish();
}
