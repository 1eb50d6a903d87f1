import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Paragraph, parseParagraphs } from '../../src/deb/deb822.ts';
import { RefusalError } from '../../src/errors.ts';

const parse = (text: string): Paragraph[] => parseParagraphs(Buffer.from(text, 'latin1'));
const shown = (paragraphs: Paragraph[]): [string, string][][] =>
  paragraphs.map((p) => p.map(({ name, value }) => [name, value.toString('latin1')]));

describe('parseParagraphs', () => {
  it.each<[string, string, [string, string][][]]>([
    ['nothing', '', []],
    ['empty lines only', '\n\n\n', []],
    ['one field', 'A: b\n', [[['A', ' b']]]],
    ['no blank after the colon', 'A:b\n', [[['A', 'b']]]],
    [
      'an empty value',
      'A:\nB: c\n',
      [
        [
          ['A', ''],
          ['B', ' c'],
        ],
      ],
    ],
    ['a colon in the value', 'A: b: c\n', [[['A', ' b: c']]]],
    ['blanks kept as they are', 'A: \t b \n', [[['A', ' \t b ']]]],
    [
      'continuation lines',
      'A: b\n c\n\td\nE: f\n',
      [
        [
          ['A', ' b\n c\n\td'],
          ['E', ' f'],
        ],
      ],
    ],
    ['a value that begins on the next line', 'A:\n b\n', [[['A', '\n b']]]],
    ['two paragraphs', 'A: b\n\nA: c\n', [[['A', ' b']], [['A', ' c']]]],
    ['many lines between', '\nA: b\n\n\n\nA: c\n\n', [[['A', ' b']], [['A', ' c']]]],
    ['bytes that are not UTF-8', 'A: \xff\xfe\n', [[['A', ' \xff\xfe']]]],
    ['odd but allowed names', '!"$%&/()=?-#: x\n', [[['!"$%&/()=?-#', ' x']]]],
  ])('reads %s', (_, text, expected) => {
    expect(shown(parse(text))).toEqual(expected);
  });

  it.each<[string, string, RegExp]>([
    ['a NUL', 'A: b\0\n', /^line 1 .*NUL/],
    ['a NUL in a name', 'A\0: b\n', /^line 1 .*NUL/],
    ['a DOS line ending', 'A: b\r\n', /^line 1 .*carriage return/],
    ['a carriage return in a line', 'A: b\nC: d\re\n', /^line 2 .*carriage return/],
    ['a line that is a carriage return', 'A: b\n\r\nC: d\n', /^line 2 .*carriage return/],
    ['a line of blanks', 'A: b\n  \nC: d\n', /^line 2 .*blanks/],
    ['a line of a tab', 'A: b\n\t\nC: d\n', /^line 2 .*blanks/],
    ['a line of blanks at the start', ' \nA: b\n', /^line 1 .*blanks/],
    ['a line of blanks at the end', 'A: b\n \n', /^line 2 .*blanks/],
    ['a line of blanks between paragraphs', 'A: b\n\n \n\nC: d\n', /^line 3 .*blanks/],
    ['a field once more', 'A: b\nA: c\n', /^line 2 .*"A" once more/],
    ['a field once more in another case', 'Package: b\nX: y\npackage: c\n', /^line 3 .*"package"/],
    ['a continuation of nothing', ' b\n', /^line 1 .*continues/],
    ['a continuation after an empty line', 'A: b\n\n c\n', /^line 3 .*continues/],
    ['no colon', 'A: b\nCcc\n', /^line 2 .*no colon.*"Ccc"/],
    ['no name', ': b\n', /^line 1 .*field name/],
    ['a blank before the colon', 'A : b\n', /^line 1 .*"A "/],
    ['a blank in the name', 'A B: b\n', /^line 1 .*field name/],
    ['a comment', '# A: b\n', /^line 1 .*field name/],
    ['a name that begins like a comment', '#A: b\n', /^line 1 .*field name/],
    ['a name that begins with a hyphen', '-A: b\n', /^line 1 .*field name/],
    ['the start of a signature', '-----BEGIN PGP SIGNED MESSAGE-----\n', /^line 1 .*no colon/],
    ['a name that is not ASCII', 'F\xe9: b\n', /^line 1 .*"F\\xe9"/],
    ['a byte order mark', '\xef\xbb\xbfA: b\n', /^line 1 .*field name/],
    ['a control character in the name', 'A\x1b[2J: b\n', /^line 1 .*"A\\x1b\[2J"/],
    ['a name without end', `${'A'.repeat(300)}: b\n`, /^line 1 .*field name/],
    ['no newline at the end', 'A: b', /^line 1 .*newline/],
    ['no newline at the end of a continuation', 'A: b\n c', /^line 2 .*newline/],
  ])('refuses %s', (_, text, message) => {
    expect(() => parse(text)).toThrow(RefusalError);
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'PACKAGE_MALFORMED' }));
  });

  it('gives back what was written', () => {
    const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,8}$/);
    const line = fc.stringMatching(/^[^\n\r\0]{0,12}[!-~]$/);
    const value = fc.array(line, { minLength: 1, maxLength: 3 }).map((lines) => lines.join('\n '));
    const fields = fc.uniqueArray(fc.tuple(name, value), {
      selector: ([n]) => n.toLowerCase(),
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(fc.array(fields, { maxLength: 3 }), (paragraphs) => {
        const text = paragraphs.map((p) => p.map(([n, v]) => `${n}:${v}\n`).join('')).join('\n');
        const read = parseParagraphs(Buffer.from(text)).map((p) =>
          p.map((field) => [field.name, field.value.toString()]),
        );
        expect(read).toEqual(paragraphs);
      }),
    );
  });

  it('never fails with anything but a refusal', () => {
    const byte = fc.constantFrom(...Buffer.from('A:b \t\n\r\0#-.\xff\n\n::', 'latin1'));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 60 }), (bytes) => {
        try {
          parseParagraphs(Uint8Array.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(RefusalError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('reads a million short lines in linear time', () => {
    const [paragraph] = parseParagraphs(Buffer.from(`A: b\n${' c\n'.repeat(300_000)}`));
    expect(paragraph?.[0]?.value.length).toBe(2 + 900_000);
  });
});
