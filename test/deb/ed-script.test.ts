import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { readEdScript, renderEdScript } from '../../src/deb/ed-script.ts';
import { composeEdits, countLines, type LineEdit } from '../../src/deb/line-edit.ts';

const folder = mkdtempSync(join(tmpdir(), 'ed-script-'));
afterAll(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);

/** The program with which apt applies patches. */
function applyRred(text: string, script: Uint8Array): string {
  writeFileSync(at('patch'), script);
  return execFileSync('/usr/lib/apt/methods/rred', ['-f', at('patch')], { input: text }).toString();
}

function applyEd(text: string, script: Uint8Array): string {
  writeFileSync(at('text'), text);
  execFileSync('ed', ['-s', at('text')], { input: Buffer.concat([script, Buffer.from('w\nq\n')]) });
  return readFileSync(at('text'), 'utf8');
}

const hunk = (position: number, drop: number, add: string): LineEdit[number] => ({
  at: position,
  drop,
  add: Buffer.from(add),
});

const render = (edit: LineEdit): Buffer => {
  const script = renderEdScript(edit);
  if (script === undefined) throw new Error('no script can say it');
  return script;
};

/** For each line whether it goes, and what is put before it; then what comes at the end. */
interface Plan {
  lines: { goes: boolean; before: string | null }[];
  end: string | null;
}

const line = fc.integer({ min: 0, max: 99_999 }).map((n) => `Field-${n}: text\n`);
const text = fc.array(line, { maxLength: 40 }).map((lines) => lines.join(''));

const plan: fc.Arbitrary<Plan> = fc.record({
  lines: fc.array(fc.record({ goes: fc.boolean(), before: fc.option(text, { freq: 8 }) }), {
    minLength: 0,
    maxLength: 60,
  }),
  end: fc.option(text),
});

/** The edit of a plan for a text of so many lines. */
function makeEdit(lines: number, { lines: steps, end }: Plan): LineEdit {
  const hunks: { at: number; drop: number; add: string }[] = [];
  for (let position = 0; position <= lines; position += 1) {
    const step = position < lines ? steps[position] : { goes: false, before: end };
    const drop = step?.goes ? 1 : 0;
    const add = step?.before ?? '';
    if (drop === 0 && add === '') continue;
    const open = hunks.at(-1);
    if (open && open.at + open.drop === position) {
      open.drop += drop;
      open.add += add;
    } else hunks.push({ at: position, drop, add });
  }
  return hunks.map((one) => hunk(one.at, one.drop, one.add));
}

/** What an edit does, in the most naive way there is. */
function applyNaively(old: string, edit: LineEdit): string {
  const lines = old.split(/(?<=\n)/).filter((one) => one !== '');
  for (const { at: position, drop, add } of [...edit].reverse()) {
    lines.splice(position, drop, Buffer.from(add).toString());
  }
  return lines.join('');
}

describe('renderEdScript', () => {
  it('writes what diff --ed writes', () => {
    const old = 'a\nb\nc\nd\ne\nf\n';
    const next = 'b\nC\nC\nd\ng\nh\n';
    writeFileSync(at('old'), old);
    writeFileSync(at('next'), next);
    const diff = `diff --ed ${at('old')} ${at('next')} || true`;
    const truth = execFileSync('sh', ['-c', diff]).toString();
    const edit = [hunk(0, 1, ''), hunk(2, 1, 'C\nC\n'), hunk(4, 2, 'g\nh\n')];
    expect(render(edit).toString()).toBe(truth);
  });

  it('says what ed and the method rred of apt understand alike', () => {
    const old = 'a\nb\nc\nd\ne\nf\n';
    const edits: LineEdit[] = [
      [],
      [hunk(6, 0, 'end\n')],
      [hunk(0, 0, 'begin\n \n.x\n'), hunk(3, 1, '')],
      [hunk(0, 6, '')],
      [hunk(0, 6, 'all\n')],
      [hunk(1, 2, ''), hunk(5, 1, 'x\ny\n')],
    ];
    for (const edit of edits) {
      const script = render(edit);
      expect(applyRred(old, script)).toBe(applyNaively(old, edit));
      expect(applyEd(old, script)).toBe(applyNaively(old, edit));
      expect(readEdScript(script)).toEqual(edit);
    }
    expect(applyRred('', render([hunk(0, 0, 'first\n')]))).toBe('first\n');
    expect(applyEd('', render([hunk(0, 0, 'first\n')]))).toBe('first\n');
  });

  it('knows what no script can say', () => {
    expect(renderEdScript([hunk(0, 0, '.\n')])).toBeUndefined();
    expect(renderEdScript([hunk(0, 0, 'a\n.\nb\n')])).toBeUndefined();
    expect(renderEdScript([hunk(0, 0, 'a\n.\n')])).toBeUndefined();
    expect(renderEdScript([hunk(0, 0, 'no newline')])).toBeUndefined();
    expect(renderEdScript([hunk(0, 0, 'a.\n..\n .\n')])).toBeDefined();
  });
});

describe('readEdScript', () => {
  it.each([
    'x\n',
    '1a\ntext\n',
    '1a\ntext\n.',
    '1d',
    '2,1d\n',
    '0d\n',
    '1d\n2d\n',
    '2d\n1d\n',
    '1,2a,\n.\n',
    '1s/a/b/\n',
    '-1d\n',
  ])('refuses %j', (script) => {
    expect(() => readEdScript(Buffer.from(script))).toThrow(/no command of an ed script/);
  });
});

describe('composeEdits', () => {
  const history = fc.tuple(text, fc.array(plan, { minLength: 1, maxLength: 6 }));

  it('makes of any history one patch with which apt reaches the end of it', () => {
    fc.assert(
      fc.property(history, ([first, plans]) => {
        let current = first;
        let whole: LineEdit = [];
        for (const one of plans) {
          const edit = makeEdit(countLines(Buffer.from(current)), one);
          current = applyNaively(current, edit);
          // As a server does that has only the scripts of before.
          whole = composeEdits(readEdScript(render(whole)), edit);
        }
        expect(applyNaively(first, whole)).toBe(current);
        expect(applyRred(first, render(whole))).toBe(current);
      }),
      { numRuns: 150 },
    );
  });

  it('leaves nothing of what came and went again', () => {
    const came = [hunk(3, 0, 'x\ny\nz\n')];
    expect(composeEdits(came, [hunk(3, 3, '')])).toEqual([]);
    expect(composeEdits(came, [hunk(4, 1, '')])).toEqual([hunk(3, 0, 'x\nz\n')]);
    expect(composeEdits(came, [hunk(2, 2, '')])).toEqual([hunk(2, 1, 'y\nz\n')]);
    expect(composeEdits([], came)).toEqual(came);
    expect(composeEdits(came, [])).toEqual(came);
    expect(composeEdits([], [])).toEqual([]);
  });

  it('joins what touches, so that a script stays one that rred reads', () => {
    const joined = composeEdits([hunk(2, 1, '')], [hunk(1, 1, ''), hunk(2, 0, 'n\n')]);
    expect(joined).toEqual([hunk(1, 2, 'n\n')]);
    expect(composeEdits([hunk(2, 2, '')], [hunk(1, 2, '')])).toEqual([hunk(1, 4, '')]);
  });

  it('takes time that grows with the edits and not with the text', () => {
    const many = Array.from({ length: 20_000 }, (_, i) => hunk(i * 50, 3, `line ${i}\n`));
    const end = [hunk(970_000, 0, 'line\n'.repeat(100_000))];
    const both = composeEdits(many, end);
    expect(both).toHaveLength(20_001);
    expect(composeEdits(both, [hunk(970_010, 99_980, '')]).at(-1)?.add).toHaveLength(100);
  });
});
