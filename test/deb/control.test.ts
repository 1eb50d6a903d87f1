import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPackage } from '../../src/deb/archive.ts';
import { bytesOf } from '../../src/deb/byte-source.ts';
import {
  type Control,
  MAX_STANZA_BYTES,
  parseControl,
  renderStanza,
} from '../../src/deb/control.ts';
import { type RefusalCode, RefusalError } from '../../src/errors.ts';
import { CONTROL, runDpkgDeb } from './build.ts';

/** The sample with one field replaced, or added before Description. */
function withField(name: string, value: string, sample = CONTROL): string {
  const line = new RegExp(`^${name}:.*\n`, 'm');
  const field = `${name}:${value === '' ? '' : ' '}${value}\n`;
  if (line.test(sample)) return sample.replace(line, () => field);
  return sample.replace('Description:', () => `${field}Description:`);
}

const without = (name: string): string => CONTROL.replace(new RegExp(`^${name}:.*\n`, 'm'), '');
const parse = (text: string): Control => parseControl(Buffer.from(text, 'latin1'));

describe('parseControl', () => {
  it('reads what identifies a package', () => {
    const { fields, ...rest } = parse(CONTROL);
    expect(rest).toEqual({
      name: 'sample',
      version: '1.0-1',
      architecture: 'amd64',
      source: { name: 'sample', version: '1.0-1' },
    });
    expect(fields.map((field) => field.name)).toEqual([
      'Package',
      'Version',
      'Architecture',
      'Maintainer',
      'Description',
    ]);
  });

  it.each([
    ['src', { name: 'src', version: '1.0-1' }],
    ['src (2:3.0-1)', { name: 'src', version: '2:3.0-1' }],
    ['src(3.0)', { name: 'src', version: '3.0' }],
    ['', { name: 'sample', version: '1.0-1' }],
  ])('reads Source: %s', (text, source) => {
    expect(parse(withField('Source', text)).source).toEqual(source);
  });

  it('reads Section and Multi-Arch', () => {
    const control = parse(withField('Multi-Arch', 'same', withField('Section', 'contrib/net')));
    expect(control.section).toBe('contrib/net');
    expect(control.multiArch).toBe('same');
  });

  it.each<[string, string]>([
    ['an architecture all', withField('Architecture', 'all')],
    ['a long architecture', withField('Architecture', 'kfreebsd-amd64')],
    ['an underscore in the name', withField('Package', 'foo_bar')],
    ['a short name', withField('Package', 'r')],
    ['a digit first', withField('Package', '0ad')],
    ['a plus in the name', withField('Package', 'g++-12')],
    ['an epoch and a hyphen', withField('Version', '1:2-3-4')],
    ['blanks around values', withField('Version', ' 1.0 \t')],
    ['names of fields in another case', CONTROL.replace('Package:', 'PACKAGE:')],
    ['no Maintainer', without('Maintainer')],
    ['no Description', without('Description')],
    ['empty lines around', `\n${CONTROL}\n\n`],
    ['Multi-Arch: no', withField('Multi-Arch', 'no')],
    ['Essential: Yes', withField('Essential', 'Yes')],
    ['an empty Essential', withField('Essential', '')],
    ['an odd Priority', withField('Priority', 'weird')],
    ['an odd Section', withField('Section', 'a b')],
    ['unknown fields', withField('X-Anything', '\xff\xfe')],
    ['a Status, which is dropped', withField('Status', 'install ok installed')],
    ['a Built-Using that apt does not read', withField('Built-Using', 'gcc (= 1) [amd64]')],
    ['an escape sequence', withField('Homepage', '\x1b[2J')],
    ['a Description of half a megabyte', `${CONTROL}${' word\n'.repeat(80_000)}`],
  ])('accepts %s', (_, text) => {
    expect(parse(text).source.name).not.toBe('');
  });

  it.each<[string, string, RegExp, RefusalCode?]>([
    ['an empty file', '', /empty/, 'PACKAGE_MALFORMED'],
    ['empty lines', '\n\n', /empty/, 'PACKAGE_MALFORMED'],
    ['two paragraphs', `${CONTROL}\n${CONTROL}`, /more than one paragraph/, 'PACKAGE_MALFORMED'],
    ['a forged stanza', withField('X', 'y\n \nPackage: sudo'), /blanks/, 'PACKAGE_MALFORMED'],
    ['a field twice', `${CONTROL}version: 2\n`, /once more/, 'PACKAGE_MALFORMED'],
    ['no Package', without('Package'), /no field Package/],
    ['no Version', without('Version'), /no field Version/],
    ['no Architecture', without('Architecture'), /no field Architecture/],
    ['an empty Package', withField('Package', ''), /no field Package/],
    ['upper case in the name', withField('Package', 'Foo'), /field Package is "Foo"/],
    ['a path as a name', withField('Package', '../../etc/passwd'), /field Package/],
    ['a dot first', withField('Package', '.foo'), /field Package/],
    ['a hyphen first', withField('Package', '-foo'), /field Package/],
    ['a slash in the name', withField('Package', 'foo/bar'), /field Package/],
    ['a blank in the name', withField('Package', 'foo bar'), /field Package/],
    ['two lines in the name', withField('Package', 'foo\n bar'), /field Package is "foo\\x0a bar"/],
    ['a percent in the name', withField('Package', 'foo%2f'), /field Package/],
    ['a name that is not ASCII', withField('Package', 'f\xc3\xb6\xc3\xb6'), /field Package/],
    ['an endless name', withField('Package', 'a'.repeat(300)), /too long/],
    ['an endless version', withField('Version', `1${'.0'.repeat(150)}`), /too long/],
    ['colons that make it endless', withField('Version', `1${':0'.repeat(80)}`), /too long/],
    ['a version in letters', withField('Version', 'abc'), /field Version: version "abc"/],
    ['a version with a slash', withField('Version', '1/2'), /field Version/],
    ['a version with an underscore', withField('Version', '1_2'), /field Version/],
    ['a version with a blank', withField('Version', '1 2'), /field Version/],
    ['a version with two lines', withField('Version', '1\n 2'), /field Version/],
    ['a version that ends in a hyphen', withField('Version', '1-'), /field Version/],
    ['architecture any', withField('Architecture', 'any'), /field Architecture.*"any"/],
    ['architecture source', withField('Architecture', 'source'), /field Architecture/],
    ['architecture linux-any', withField('Architecture', 'linux-any'), /field Architecture/],
    ['architecture any-amd64', withField('Architecture', 'any-amd64'), /field Architecture/],
    ['two architectures', withField('Architecture', 'amd64 i386'), /field Architecture/],
    ['a path as architecture', withField('Architecture', '../x'), /field Architecture/],
    ['an underscore in architecture', withField('Architecture', 'x86_64'), /field Architecture/],
    ['a path as source', withField('Source', '../x'), /field Source/],
    ['a source version in letters', withField('Source', 'src (abc)'), /field Source: version/],
    ['a source without bracket', withField('Source', 'src (1.0'), /field Source/],
    ['three words as source', withField('Source', 'a b c'), /field Source/],
    ['an odd Multi-Arch', withField('Multi-Arch', 'maybe'), /field Multi-Arch.*"maybe"|Multi-Arch/],
    ['Multi-Arch in upper case', withField('Multi-Arch', 'Same'), /field Multi-Arch/],
    ['an odd Essential', withField('Essential', 'maybe'), /field Essential/],
    ['an odd Protected', withField('Protected', '1'), /field Protected/],
    ['an odd Important', withField('Important', 'very'), /field Important/],
    ['a bad Description-md5', withField('Description-md5', '00'), /field Description-md5/],
    ['a Revision', withField('Revision', '7'), /field Revision/],
    ['a Package-Revision', withField('Package-Revision', '7'), /field Package-Revision/],
    ['a bad relation', withField('Depends', 'foo (>> )'), /field Depends/],
    ['a bad relation in another case', withField('DEPENDS', 'foo,, bar'), /field DEPENDS/],
    ['a bad Pre-Depends', withField('Pre-Depends', 'foo [amd64]'), /field Pre-Depends/],
    ['a bad Recommends', withField('Recommends', 'a,,b'), /field Recommends/],
    ['a bad Suggests', withField('Suggests', 'a <!nocheck>'), /field Suggests/],
    ['a bad Enhances', withField('Enhances', 'a (1'), /field Enhances/],
    ['a bad Breaks', withField('Breaks', 'a|b'), /field Breaks/],
    ['a bad Conflicts', withField('Conflicts', 'a b'), /field Conflicts/],
    ['a bad Replaces', withField('Replaces', ','), /field Replaces/],
    ['a bad Provides', withField('Provides', 'a (>= 1)'), /field Provides/],
  ])('refuses %s', (_, text, message, code = 'PACKAGE_UNACCEPTABLE') => {
    expect(() => parse(text)).toThrow(RefusalError);
    expect(() => parse(text)).toThrow(expect.objectContaining({ code }));
    expect(() => parse(text)).toThrow(message);
    expect(() => parse(text)).toThrow(/^[\x20-\x7e]{5,250}$/);
  });

  it('never fails with anything but a refusal on a damaged file', () => {
    const sample = Buffer.from(
      withField('Depends', 'foo (>= 1.0) | bar', withField('Source', 'src (1.0)')),
    );
    const change = fc.tuple(fc.nat(), fc.oneof(fc.constantFrom(9, 10, 13, 32, 58), fc.nat(255)));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const damaged = Buffer.from(sample);
        for (const [at, value] of changes) damaged[at % damaged.length] = value;
        try {
          parseControl(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(RefusalError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

const FACTS = { filename: 'pool/main/s/sample/sample_1.0-1_amd64.deb', size: 1234, sha256: 'ab' };

describe('renderStanza', () => {
  it('carries the fields and adds its own behind them', () => {
    expect(renderStanza(parse(CONTROL), FACTS).toString()).toBe(
      `${CONTROL}Filename: ${FACTS.filename}\nSize: 1234\nSHA256: ab\n`,
    );
  });

  it('has every hash it is given', () => {
    const stanza = renderStanza(parse(CONTROL), { ...FACTS, md5: 'm', sha1: 's', sha512: 'l' });
    expect(stanza.toString()).toMatch(/\nMD5sum: m\nSHA1: s\nSHA256: ab\nSHA512: l\n$/);
  });

  it.each([
    'Filename',
    'Size',
    'MD5sum',
    'MD5Sum',
    'SHA1',
    'sha256',
    'SHA512',
    'Checksum-FileSize',
    'Status',
    'Optional',
  ])('never passes on a %s that stands inside', (name) => {
    const stanza = renderStanza(parse(withField(name, '666\n forged')), FACTS).toString();
    expect(stanza).not.toContain('666');
    expect(stanza).not.toContain('forged');
  });

  it('ends in one newline, with no empty line in it, whatever the control file has around it', () => {
    const stanza = renderStanza(parse(`\n\n${CONTROL}\n\n`), FACTS).toString();
    expect(stanza).toMatch(/[^\n]\n$/);
    expect(stanza).not.toContain('\n\n');
  });

  it('carries bytes that are not UTF-8', () => {
    const stanza = renderStanza(parse(withField('X-Odd', 'a\xff\xfe\x80')), FACTS);
    expect(stanza.includes(Buffer.from('X-Odd: a\xff\xfe\x80\n', 'latin1'))).toBe(true);
  });

  it('refuses a stanza that apt would not read', () => {
    const long = (bytes: number): Control => parse(`${CONTROL} ${'x'.repeat(bytes)}\n`);
    const spare = MAX_STANZA_BYTES - renderStanza(long(0 + 1), FACTS).length;
    expect(renderStanza(long(spare), FACTS).length).toBe(MAX_STANZA_BYTES - 1);
    expect(() => renderStanza(long(spare + 1), FACTS)).toThrow(
      expect.objectContaining({ code: 'PACKAGE_UNACCEPTABLE' }),
    );
  });
});

/** Control fields as varied as dpkg-deb lets through. */
const VARIED: [string, string][] = [
  ['plain', CONTROL],
  ['all', withField('Architecture', 'all')],
  ['epoch', withField('Version', '1:2.0~rc1+dfsg-1.1~bpo12+1')],
  ['native', withField('Version', '20261123')],
  ['source', withField('Source', 'other (3.0-1)')],
  ['section', withField('Section', 'contrib/net', withField('Priority', 'extra'))],
  ['depends', withField('Depends', 'libc6 (>= 2.34), foo | bar (<< 2), baz:any')],
  ['folded', withField('Depends', 'libc6 (>= 2.34),\n foo,\n\tbar')],
  [
    'relations',
    withField(
      'Pre-Depends',
      'a',
      withField(
        'Conflicts',
        'b',
        withField(
          'Breaks',
          'c (<< 1)',
          withField('Replaces', 'd', withField('Provides', 'e (= 1), f')),
        ),
      ),
    ),
  ],
  [
    'weak',
    withField('Recommends', 'a | b', withField('Suggests', 'c', withField('Enhances', 'd'))),
  ],
  ['multiarch', withField('Multi-Arch', 'foreign')],
  ['essential', withField('Essential', 'yes', withField('Protected', 'no'))],
  ['description', `${CONTROL} A longer text,\n in lines.\n .\n  * with a list\n`],
  ['latin1', `${CONTROL} Gr\xfc\xdfe \xff\xfe\n`],
  ['utf8', Buffer.from(withField('Maintainer', 'Jörg Äß <j@example.org>')).toString('latin1')],
  ['unknown', withField('X-Team', 'platform', withField('Commit', 'abcdef'))],
  ['built', withField('Built-Using', 'gcc-12 (= 12.2.0-14)')],
  ['homepage', withField('Homepage', 'https://example.org/?a=b:c')],
  ['tags', withField('Tag', 'role::program,\n use::checking')],
  [
    'forged',
    withField(
      'Filename',
      'x',
      withField('Size', '1', withField('MD5sum', 'y', withField('SHA256', 'z'))),
    ),
  ],
  ['sums', withField('SHA1', 'x', withField('SHA512', 'y'))],
  ['installed', withField('Installed-Size', '12345')],
  ['case', CONTROL.replace('Maintainer:', 'MAINTAINER:')],
  ['order', CONTROL.split('\n').filter(Boolean).reverse().join('\n').concat('\n')],
  ['blanks', withField('Homepage', '  padded  ')],
  ['long', `${CONTROL}${` ${'word '.repeat(12)}\n`.repeat(500)}`],
  [
    'important',
    withField(
      'Important',
      'yes',
      withField('Origin', 'Example', withField('Bugs', 'mailto:b@example.org')),
    ),
  ],
  ['phased', withField('Phased-Update-Percentage', '10', withField('Task', 'web-server'))],
];

/** Name in lower case -> value without the blanks around it. Knows nothing of src/. */
function readStanza(text: string): Map<string, string> {
  const fields = text.split(/\n(?![ \t])/).filter((field) => field !== '');
  return new Map(
    fields.map((field) => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }),
  );
}

const digest = (algorithm: string, bytes: Buffer): string =>
  createHash(algorithm).update(bytes).digest('hex');

describe('agreement with apt-ftparchive', () => {
  it('says the same of every field of every package', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'aptkeep-ftparchive-'));
    try {
      const ours = new Map<string, Map<string, string>>();
      for (const [i, [name, text]] of VARIED.entries()) {
        const flag = ['-Znone', '-Zgzip', '-Zxz', '-Zzstd'][i % 4] ?? '';
        const control = Buffer.from(withField('Package', `p-${name}`, text), 'latin1');
        const bytes = runDpkgDeb(control, [flag], { f: name });
        writeFileSync(join(folder, `p-${name}.deb`), bytes);
        const archive = await readPackage(bytesOf(bytes));
        const stanza = renderStanza(parseControl(archive.control), {
          filename: 'elsewhere',
          size: bytes.length,
          md5: digest('md5', bytes),
          sha1: digest('sha1', bytes),
          sha256: digest('sha256', bytes),
          sha512: digest('sha512', bytes),
        });
        ours.set(`p-${name}`, readStanza(stanza.toString('latin1')));
      }
      const printed = execFileSync('apt-ftparchive', ['packages', '.'], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const theirs = printed.toString('latin1').split('\n\n').map(readStanza);
      const seen = theirs.filter((stanza) => stanza.size > 0);
      expect(seen.length).toBe(VARIED.length);
      for (const stanza of seen) {
        const mine = ours.get(stanza.get('package') ?? '') ?? new Map();
        // That of a suite is the suite's own.
        stanza.delete('phased-update-percentage');
        for (const fields of [stanza, mine]) fields.delete('filename');
        expect(Object.fromEntries(mine)).toEqual(Object.fromEntries(stanza));
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
