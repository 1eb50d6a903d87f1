/** .changes files: those of dpkg-genchanges read, others refused. */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changedKind, parseChanges } from '../../src/deb/changes.ts';
import { RefusalError } from '../../src/errors.ts';
import { buildSource, fileOf } from './build-source.ts';

const hash = (algorithm: string, bytes: Buffer): string =>
  createHash(algorithm).update(bytes).digest('hex');

describe('a .changes as dpkg-genchanges makes it', () => {
  it('names every file with its hashes and size', () => {
    const files = buildSource({ name: 'hello', section: 'contrib/misc', extras: true });
    const changes = parseChanges(fileOf(files, '.changes'));
    expect(changes).toMatchObject({
      source: { name: 'hello', version: '1.0-1' },
      version: '1.0-1',
      architectures: ['source', 'all'],
      distributions: ['stable'],
    });
    expect(changes.files.map((file) => file.name).sort()).toEqual(
      [...files.keys()].filter((name) => !name.endsWith('.changes')),
    );
    for (const file of changes.files) {
      const bytes = files.get(file.name) ?? Buffer.alloc(0);
      expect(file).toMatchObject({
        size: bytes.length,
        md5: hash('md5', bytes),
        sha1: hash('sha1', bytes),
        sha256: hash('sha256', bytes),
      });
    }
    const kinds = changes.files.map((file) => [file.name.split('.').at(-1), changedKind(file)]);
    expect(Object.fromEntries(kinds)).toEqual({
      ...{ dsc: 'dsc', deb: 'binary', udeb: 'binary', buildinfo: 'buildinfo' },
      ...{ gz: 'other', xz: 'other' },
    });
  });

  it('of binary packages alone, and of the source alone', () => {
    const of = (flags: string[]) =>
      parseChanges(fileOf(buildSource({ name: 'hello', flags }), '.changes')).architectures;
    expect(of(['-b'])).toEqual(['all']);
    expect(of(['-S'])).toEqual(['source']);
  });

  it('of a rebuild, whose source has another version', () => {
    const text = CHANGES().replace('Version: 1.0-1', 'Version: 1.0-1+b1');
    const changes = parseChanges(
      Buffer.from(text.replace('Source: hello', 'Source: hello (1.0-1)')),
    );
    expect(changes).toMatchObject({ version: '1.0-1+b1', source: { version: '1.0-1' } });
  });
});

const CHANGES = (): string => fileOf(buildSource({ name: 'hello' }), '.changes').toString();
const edit = (pattern: RegExp | string, text: string) => (): string =>
  CHANGES().replace(pattern, () => text);

describe('a .changes that is refused', () => {
  const refused: Record<string, () => string> = {
    nothing: () => '',
    'two paragraphs': () => `${CHANGES()}\n${CHANGES()}`,
    'another format': edit('Format: 1.8', 'Format: 2.0'),
    'no Source': edit(/^Source: .*\n/m, ''),
    'a source that is a path': edit('Source: hello', 'Source: ../hello'),
    'a source with a broken version': edit('Source: hello', 'Source: hello (one)'),
    'no Version': edit(/^Version: .*\n/m, ''),
    'no Distribution': edit(/^Distribution: .*\n/m, ''),
    'a distribution with a control character': edit(
      'Distribution: stable',
      'Distribution: sta\x1bble',
    ),
    'no Architecture': edit(/^Architecture: .*\n/m, ''),
    'an architecture that is a wildcard': edit(
      'Architecture: source all',
      'Architecture: source any',
    ),
    'a .dsc without the word source': edit('Architecture: source all', 'Architecture: all'),
    'the word source without a .dsc': () => CHANGES().replaceAll(/^ .*\.dsc\n/gm, ''),
    'two .dsc': () => CHANGES().replaceAll(/^( .*)hello_1.0-1.dsc\n/gm, '$&$1other_1.0-1.dsc\n'),
    'no Files': edit(/^Files:\n( .*\n)*/m, ''),
    'no SHA-256': edit(/^Checksums-Sha256:\n( .*\n)*/m, ''),
    'a file twice': () => CHANGES().replace(/(Files:\n)( .*\n)/, '$1$2$2'),
    'a file above its directory': () =>
      CHANGES().replaceAll(' hello_1.0.orig', ' ../hello_1.0.orig'),
    'an absolute file name': () => CHANGES().replaceAll(' hello_1.0.orig', ' /etc/hello_1.0.orig'),
    'no section': () => CHANGES().replaceAll(' misc optional ', ' '),
    'lists that differ in a size': edit(/ (\d+) hello_1.0.orig.tar.gz/, ' 1 hello_1.0.orig.tar.gz'),
    'lists that differ in their files': edit(/^ [0-9a-f]{40} .*\n/m, ''),
    'more than four mebibytes': () => `${CHANGES()}X-Long: ${'x'.repeat(4 * 1024 * 1024)}\n`,
  };
  it.each(Object.entries(refused))('%s', (_name, make) => {
    let refusal: unknown;
    try {
      parseChanges(Buffer.from(make(), 'latin1'));
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(RefusalError);
    expect((refusal as RefusalError).code).toMatch(/^PACKAGE_(MALFORMED|UNACCEPTABLE)$/);
  });
});

describe('damage anywhere', () => {
  it('is taken for what it is or refused, never more', () => {
    const whole = Buffer.from(CHANGES());
    const damage = fc.record({
      at: fc.nat(whole.length - 1),
      drop: fc.nat(40),
      add: fc.uint8Array({ maxLength: 8 }),
    });
    fc.assert(
      fc.property(damage, ({ at, drop, add }) => {
        const text = Buffer.concat([whole.subarray(0, at), add, whole.subarray(at + drop)]);
        try {
          for (const file of parseChanges(text).files)
            expect(file.name).toMatch(/^[A-Za-z0-9][^/]*$/);
        } catch (error) {
          expect(error).toBeInstanceOf(RefusalError);
        }
      }),
    );
  });
});
