/** Source packages: those of dpkg-source read and indexed as apt-ftparchive does, others refused. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDsc, renderSourceStanza } from '../../src/deb/dsc.ts';
import { sourceDirectory } from '../../src/deb/layout.ts';
import { RefusalError } from '../../src/errors.ts';
import { compareIndexes, readIndex } from '../e2e/stanzas.ts';
import { buildSource, fileOf, type WantedSource } from './build-source.ts';

const MADE: Record<string, WantedSource> = {
  quilt: { name: 'hello', extras: true },
  'quilt with components': { name: 'libfoo', components: ['doc', 'l10n'] },
  native: { name: 'tool', version: '2.0', format: '3.0 (native)' },
  '1.0 with a diff': { name: 'old', version: '1:2.3-4~rc1', format: '1.0' },
  '1.0 native': { name: 'older', version: '7', format: '1.0' },
};

const hash = (algorithm: string, bytes: Buffer): string =>
  createHash(algorithm).update(bytes).digest('hex');

/** Without the hash that a .dsc of Debian 12 does not have. */
function indexWithFtparchive(name: string, files: ReadonlyMap<string, Buffer>): string {
  const root = mkdtempSync(join(tmpdir(), 'aptkeep-sources-'));
  try {
    const directory = join(root, sourceDirectory('main', name));
    mkdirSync(directory, { recursive: true });
    for (const [file, bytes] of files) writeFileSync(join(directory, file), bytes);
    const args = ['-o', 'APT::FTPArchive::SHA512=false', 'sources', 'pool'];
    return execFileSync('apt-ftparchive', args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  } finally {
    rmSync(root, { recursive: true });
  }
}

describe('a source package as dpkg-source makes it', () => {
  it.each(Object.entries(MADE))('%s: the stanza of apt-ftparchive', (_name, wanted) => {
    const files = buildSource({ flags: ['-S'], ...wanted });
    const dsc = fileOf(files, '.dsc');
    const control = parseDsc(dsc);
    const filename = [...files.keys()].find((file) => file.endsWith('.dsc')) ?? '';
    const stanza = renderSourceStanza(control, {
      filename,
      directory: sourceDirectory('main', control.name),
      size: dsc.length,
      md5: hash('md5', dsc),
      sha1: hash('sha1', dsc),
      sha256: hash('sha256', dsc),
      sha512: hash('sha512', dsc),
    });
    const theirs = readIndex(indexWithFtparchive(control.name, files));
    expect(compareIndexes(readIndex(stanza.toString()), theirs)).toEqual([]);
    expect(control.files.map((file) => hash('sha256', files.get(file.name) ?? dsc))).toEqual(
      control.files.map((file) => file.sha256),
    );
    expect(control.section).toBe('misc');
  });
});

const DSC = (): string => fileOf(buildSource({ name: 'hello', flags: ['-S'] }), '.dsc').toString();
const edit = (pattern: RegExp | string, text: string) => (): string =>
  DSC().replace(pattern, () => text);

describe('a .dsc that is refused', () => {
  const refused: Record<string, () => string> = {
    nothing: () => '',
    'two paragraphs': () => `${DSC()}\n${DSC()}`,
    'no Format': edit(/^Format: .*\n/m, ''),
    'a format nobody unpacks here': edit('3.0 (quilt)', '3.0 (git)'),
    'a format by a name of JavaScript': edit('3.0 (quilt)', '__proto__'),
    'no Source': edit(/^Source: .*\n/m, ''),
    'a source that is a path': edit('Source: hello', 'Source: ../../hello'),
    'no version': edit(/^Version: .*\n/m, ''),
    'a version that is none': edit('Version: 1.0-1', 'Version: one'),
    'no Files': edit(/^Files:\n( .*\n)*/m, ''),
    'no SHA-256': edit(/^Checksums-Sha256:\n( .*\n)*/m, ''),
    'a list without a file of Files': edit(/(^Checksums-Sha256:\n) .*\n/m, 'Checksums-Sha256:\n'),
    'a list with another file': edit(
      /^Checksums-Sha256:\n/m,
      `Checksums-Sha256:\n ${'a'.repeat(64)} 1 other.tar.gz\n`,
    ),
    'lists that differ in a size': edit(/ (\d+) hello_1.0.orig.tar.gz/, ' 1 hello_1.0.orig.tar.gz'),
    'a hash of another length': edit(/ ([0-9a-f]{64}) /, ` ${'a'.repeat(63)} `),
    'a hash in upper case': edit(/ ([0-9a-f]{64}) /, ` ${'A'.repeat(64)} `),
    'a negative size': edit(/ \d+ hello_1.0.orig.tar.gz/g, ' -1 hello_1.0.orig.tar.gz'),
    'a size with a fraction': edit(/ \d+ hello_1.0.orig.tar.gz/g, ' 1.5 hello_1.0.orig.tar.gz'),
    'a file twice': () => DSC().replace(/(Files:\n)( .*\n)/, '$1$2$2'),
    'a file above its directory': () => DSC().replaceAll(' hello_1.0.orig', ' ../hello_1.0.orig'),
    'an absolute file name': () => DSC().replaceAll(' hello_1.0.orig', ' /hello_1.0.orig'),
    'a hidden file': () => DSC().replaceAll(' hello_1.0.orig', ' .hello_1.0.orig'),
    'a file of another source': () => DSC().replaceAll(' hello_1.0.orig', ' other_1.0.orig'),
    'a file of another version': () => DSC().replaceAll('_1.0-1.debian', '_1.0-2.debian'),
    'a file that no format has': () => DSC().replaceAll('.orig.tar.gz', '.orig.sh'),
    'no tarball of upstream': () => DSC().replaceAll(/ .* hello_1.0.orig.tar.gz\n/g, ''),
    'a column more': edit(/ hello_1.0.orig.tar.gz/, ' x hello_1.0.orig.tar.gz'),
    'a field twice': () => `Version: 2\n${DSC()}`,
    'a line of blanks, which would forge a stanza': edit('Files:\n', ' \nFiles:\n'),
    'a carriage return': () => DSC().replaceAll('\n', '\r\n'),
    'a NUL': edit('Maintainer: ', 'Maintainer: \0'),
    'more than a mebibyte': () => `${DSC()}X-Long: ${'x'.repeat(1024 * 1024)}\n`,
  };
  it.each(Object.entries(refused))('%s', (_name, make) => {
    let refusal: unknown;
    try {
      parseDsc(Buffer.from(make(), 'latin1'));
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(RefusalError);
    expect((refusal as RefusalError).code).toMatch(/^PACKAGE_(MALFORMED|UNACCEPTABLE)$/);
  });
});

describe('damage anywhere', () => {
  it('is taken for what it is or refused, never more', () => {
    const whole = Buffer.from(DSC());
    const damage = fc.record({
      at: fc.nat(whole.length - 1),
      drop: fc.nat(40),
      add: fc.uint8Array({ maxLength: 8 }),
    });
    fc.assert(
      fc.property(damage, ({ at, drop, add }) => {
        const text = Buffer.concat([whole.subarray(0, at), add, whole.subarray(at + drop)]);
        try {
          for (const file of parseDsc(text).files) expect(file.name).toMatch(/^[A-Za-z0-9][^/]*$/);
        } catch (error) {
          expect(error).toBeInstanceOf(RefusalError);
        }
      }),
    );
  });
});
