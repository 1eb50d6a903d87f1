/**
 * Edits as the scripts that apt's rred applies: commands of ed(1), the last line first, as
 * `diff --ed` writes them. Source of truth: diffutils, section "ed scripts"; apt's methods/rred.cc,
 * which knows a, c and d. Floor 1.
 */
import type { Hunk, LineEdit } from './line-edit.ts';

const NEWLINE = 0x0a;
const END_OF_TEXT = Buffer.from('.\n');

/** A line that is only a dot ends the text of a command. */
function holdsLoneDot(text: Uint8Array): boolean {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  return bytes.subarray(0, 2).equals(END_OF_TEXT) || bytes.includes('\n.\n');
}

function renderHunk({ at, drop, add }: Hunk): Uint8Array[] {
  if (drop === 0) return [Buffer.from(`${at}a\n`), add, END_OF_TEXT];
  const range = drop === 1 ? `${at + 1}` : `${at + 1},${at + drop}`;
  if (add.length === 0) return [Buffer.from(`${range}d\n`)];
  return [Buffer.from(`${range}c\n`), add, END_OF_TEXT];
}

/** Undefined where no script can say it: one line is a dot alone, or the last has no newline. */
export function renderEdScript(edit: LineEdit): Buffer | undefined {
  const odd = edit.some(
    ({ add }) => holdsLoneDot(add) || (add.length > 0 && add.at(-1) !== NEWLINE),
  );
  return odd ? undefined : Buffer.concat([...edit].reverse().flatMap(renderHunk));
}

function malformed(line: string): Error {
  return new Error(`no command of an ed script: ${JSON.stringify(line.slice(0, 80))}`);
}

/** The edit that a script of `renderEdScript` makes. @throws Error anything else */
export function readEdScript(script: Buffer): LineEdit {
  const hunks: Hunk[] = [];
  for (let at = 0; at < script.length; ) {
    const end = script.indexOf(NEWLINE, at);
    const line = script.toString('latin1', at, end < 0 ? script.length : end);
    const command = /^(\d{1,15})(?:,(\d{1,15}))?([acd])$/.exec(line);
    if (end < 0 || command === null) throw malformed(line);
    const [, from, to, verb] = command;
    at = end + 1;
    let add = script.subarray(at, at);
    if (verb !== 'd') {
      const stop = script.subarray(at, at + 2).equals(END_OF_TEXT)
        ? at - 1
        : script.indexOf('\n.\n', at);
      if (stop < 0) throw malformed(line);
      add = script.subarray(at, stop + 1);
      at = stop + 3;
    }
    const first = Number(from);
    const last = Number(to ?? from);
    const next = hunks.at(-1)?.at ?? Number.POSITIVE_INFINITY;
    const hunk =
      verb === 'a' ? { at: first, drop: 0, add } : { at: first - 1, drop: last - first + 1, add };
    if (hunk.at < 0 || last < first || hunk.at + hunk.drop >= next) throw malformed(line);
    hunks.push(hunk);
  }
  return hunks.reverse();
}
