import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { addHashes, splitDescription } from '../../src/deb/suite-stanza.ts';

const MD5 = 'a'.repeat(32);
const SHA512 = 'b'.repeat(128);
const HEAD = 'Package: sample\nVersion: 1.0\nArchitecture: all\n';
const TAIL = 'Filename: pool/s\nSize: 1\nSHA256: c\n';
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('addHashes', () => {
  it('puts them where apt-ftparchive has them', () => {
    const stanza = bytes(HEAD + TAIL);
    const first = `${HEAD}Filename: pool/s\nSize: 1\n`;
    const told = (hashes: Parameters<typeof addHashes>[1]): string =>
      addHashes(stanza, hashes).toString();
    expect(told({ MD5sum: MD5, SHA512 })).toBe(
      `${first}MD5sum: ${MD5}\nSHA256: c\nSHA512: ${SHA512}\n`,
    );
    expect(told({ SHA512 })).toBe(`${first}SHA256: c\nSHA512: ${SHA512}\n`);
    expect(told({})).toBe(HEAD + TAIL);
  });
});

describe('splitDescription', () => {
  const split = (description: string): { stanza: string; translation: string | undefined } => {
    const answer = splitDescription(bytes(HEAD + description + TAIL));
    return {
      stanza: Buffer.from(answer.stanza).toString('latin1'),
      translation: answer.translation?.toString('latin1'),
    };
  };

  it.each([
    ['one line', 'Description: short\n', 'short', 'short'],
    ['several', 'Description: short\n long\n .\n \xe9\n', 'short', 'short\n long\n .\n \xe9'],
    ['blanks around it', 'description:  \tshort \t\n long\t\n', 'short', 'short \t\n long'],
    ['nothing in its first line', 'Description:\n long\n', 'long', 'long'],
    ['a sum of its own', `Description-MD5: ${MD5}\nDescription: a\n b\n`, 'a', 'a\n b'],
  ])('of %s', (_what, field, short, full) => {
    const md5 = createHash('md5')
      .update(bytes(`${full}\n`))
      .digest('hex');
    const name = field.includes('description:') ? 'description' : 'Description';
    expect(split(field)).toEqual({
      stanza: `${HEAD}${name}: ${short}\nDescription-md5: ${md5}\n${TAIL}`,
      translation: `Package: sample\nDescription-md5: ${md5}\nDescription-en: ${full}\n`,
    });
  });

  it.each(['', 'Description:\n', 'Description-de: kurz\n'])('leaves %j as it is', (field) => {
    expect(split(field)).toEqual({ stanza: HEAD + field + TAIL, translation: undefined });
  });
});
