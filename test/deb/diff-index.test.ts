import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import {
  type DiffIndex,
  type Fingerprint,
  readDiffIndex,
  renderDiffIndex,
} from '../../src/deb/diff-index.ts';

const mark = (digit: string, size: number): Fingerprint => ({ sha256: digit.repeat(64), size });

const sample: DiffIndex = {
  current: mark('a', 9),
  patches: [
    { name: 'one', from: mark('1', 7), script: mark('2', 30), download: mark('3', 50) },
    { name: 'two', from: mark('4', 8), script: mark('5', 31), download: mark('6', 51) },
  ],
};

describe('renderDiffIndex', () => {
  it('writes the fields as Debian does, the oldest first', () => {
    const h = (digit: string): string => digit.repeat(64);
    expect(renderDiffIndex(sample).toString()).toBe(
      `SHA256-Current: ${h('a')} 9
SHA256-History:
 ${h('1')} 7 one
 ${h('4')} 8 two
SHA256-Patches:
 ${h('2')} 30 one
 ${h('5')} 31 two
SHA256-Download:
 ${h('3')} 50 one.gz
 ${h('6')} 51 two.gz
X-Patch-Precedence: merged
`,
    );
  });

  it("is a stanza for apt's own parser", () => {
    const script = 'f=$(mktemp); cat >$f; /usr/lib/apt/apt-helper cat-file $f; rm $f';
    const out = execFileSync('sh', ['-c', script], { input: renderDiffIndex(sample) });
    expect(out.equals(renderDiffIndex(sample))).toBe(true);
  });
});

describe('readDiffIndex', () => {
  it('reads what was written', () => {
    expect(readDiffIndex(renderDiffIndex(sample))).toEqual(sample);
    const none = { current: mark('a', 0), patches: [] };
    expect(readDiffIndex(renderDiffIndex(none))).toEqual(none);
  });

  const text = renderDiffIndex(sample).toString();
  it.each([
    ['nothing', ''],
    ['no current', text.replace('Current', 'Was')],
    ['a short hash', text.replace(/a{64}/, 'abc')],
    ['a size that is none', text.replace(/ 7 one/, ' x one')],
    ['a patch that cannot be fetched', text.replace(/\n \S+ 51 two.gz/, '')],
    ['a patch under two names', text.replace(/ 31 two/, ' 31 three')],
    ['what is no paragraph', `${text}\u0000`],
  ])('refuses %s', (_, bad) => {
    expect(() => readDiffIndex(Buffer.from(bad))).toThrow();
  });
});
