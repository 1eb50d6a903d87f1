import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readPackage, readPlainPackage, verifyData } from '../../src/deb/archive.ts';
import { bytesOf } from '../../src/deb/byte-source.ts';
import { parseControl } from '../../src/deb/control.ts';
import { type RefusalCode, RefusalError } from '../../src/errors.ts';
import {
  type ArEntry,
  buildAr,
  buildPackage,
  buildTar,
  CONTROL,
  controlMember,
  dataMember,
  paxRecord,
  pipeThrough,
  runDpkgDeb,
  type TarEntry,
  VERSION_MEMBER,
} from './build.ts';

const LIMITS = { outputBytes: 8e6 };

async function readSlowly(
  bytes: Uint8Array,
): Promise<{ control: string; files: number; text: Buffer }> {
  const source = bytesOf(bytes);
  const archive = await readPackage(source);
  const { files } = await verifyData(source, archive, LIMITS);
  return { control: parseControl(archive.control).name, files, text: archive.control };
}

/** What takes the short way must have come out of the long one. */
async function readWhole(bytes: Uint8Array): Promise<{ control: string; files: number }> {
  const quick = readPlainPackage(Buffer.from(bytes), { checkData: true });
  try {
    const { control, files, text } = await readSlowly(bytes);
    if (quick) expect(quick).toEqual(text);
    return { control, files };
  } catch (error) {
    // The control file itself is judged behind both.
    if (quick) expect(() => parseControl(quick)).toThrow(RefusalError);
    throw error;
  }
}

const control = controlMember();
const data = dataMember();
const goodControl: TarEntry = { name: './control', content: CONTROL };
const withMembers = (...members: ArEntry[]): Buffer => buildAr([VERSION_MEMBER, ...members]);
const withControl = (...entries: TarEntry[]): Buffer =>
  buildPackage({ control: controlMember(buildTar(entries)) });
const withData = (...entries: TarEntry[]): Buffer =>
  buildPackage({ data: dataMember(buildTar(entries)) });
const plain = (name: string, content: Uint8Array | string): ArEntry => ({ name, content });
const good = buildPackage();
const pax = (records: string): TarEntry => ({ name: 'pax', type: 'x', content: records });

const MALFORMED: [string, Buffer, RefusalCode?][] = [
  ['nothing at all', Buffer.alloc(0)],
  ['one byte', Buffer.from('!')],
  ['another kind of file', Buffer.from('PK\x03\x04 not a package')],
  ['the ar magic with a wrong end', Buffer.from('!<arch>\r')],
  ['a thin ar archive', buildAr([VERSION_MEMBER, control, data], '!<thin>\n')],
  ['the ar magic only', Buffer.from('!<arch>\n')],
  ['a member header cut off', good.subarray(0, 40)],
  ['a member cut off', good.subarray(0, good.length - 20)],
  [
    'an odd last member without its padding',
    buildAr([VERSION_MEMBER, control, data, { name: '_x', content: 'x', pad: false }]),
  ],
  ['garbage behind the last member', Buffer.concat([good, Buffer.from('garbage')])],
  ['a long garbage behind the last member', Buffer.concat([good, Buffer.alloc(600, 'x')])],
  ['zeros behind the last member', Buffer.concat([good, Buffer.alloc(1024)])],
  ['a newline behind the last member', Buffer.concat([good, Buffer.from('\n')])],
  ['a header with a wrong end', withMembers({ ...control, end: 'xx' }, data)],
  ['a size that is no number', withMembers({ ...control, size: '12x' }, data)],
  ['an empty size', withMembers({ ...control, size: '' }, data)],
  ['a negative size', withMembers({ ...control, size: '-60' }, data)],
  ['a hexadecimal size', withMembers({ ...control, size: '0x10' }, data)],
  ['a size with a sign', withMembers({ ...control, size: '+10' }, data)],
  ['a size past the end', withMembers(control, { ...data, size: '9999999999' })],
  ['a size that is too small', withMembers({ ...control, size: '10' }, data)],
  ['an empty member name', withMembers({ ...control, name: '' }, data)],
  ['a NUL in a member name', withMembers({ ...control, name: 'control.tar\0' }, data)],
  ['a line feed in a member name', withMembers({ ...control, name: 'control.tar\n' }, data)],
  ['a BSD long name', withMembers({ ...control, name: '#1/20' }, data)],
  ['a GNU name table', withMembers(plain('//', 'control.tar/\n'), control, data)],
  ['too many members', withMembers(control, data, ...Array(120).fill(plain('_x', '')))],
  ['no debian-binary', buildAr([control, data])],
  ['debian-binary in second place', buildAr([control, VERSION_MEMBER, data])],
  ['format version 3.0', buildAr([plain('debian-binary', '3.0\n'), control, data])],
  ['format version 20.0', buildAr([plain('debian-binary', '20.0\n'), control, data])],
  ['format version 0.939000', buildAr([plain('debian-binary', '0.939000\n'), control, data])],
  ['format version without newline', buildAr([plain('debian-binary', '2.0'), control, data])],
  ['format version without minor', buildAr([plain('debian-binary', '2\n'), control, data])],
  [
    'format version with a DOS line ending',
    buildAr([plain('debian-binary', '2.0\r\n'), control, data]),
  ],
  ['an empty format version', buildAr([plain('debian-binary', ''), control, data])],
  [
    'an endless format version',
    buildAr([plain('debian-binary', '2.0\n'.repeat(5000)), control, data]),
  ],
  ['no control.tar', withMembers(data)],
  ['no data.tar', withMembers(control)],
  ['data.tar before control.tar', withMembers(data, control)],
  ['two control.tar', withMembers(control, control, data)],
  ['a second control.tar at the end', withMembers(control, data, control)],
  [
    'a second control.tar in another compression',
    withMembers(control, { ...control, name: 'control.tar.xz' }, data),
  ],
  ['two data.tar', withMembers(control, data, data)],
  ['a stranger before control.tar', withMembers(plain('extra', 'x'), control, data)],
  ['a stranger before data.tar', withMembers(control, plain('extra', 'x'), data)],
  ['control.tar in bz2', withMembers({ ...control, name: 'control.tar.bz2' }, data)],
  ['control.tar in lzma', withMembers({ ...control, name: 'control.tar.lzma' }, data)],
  [
    'control.tar in upper-case compression',
    withMembers({ ...control, name: 'control.tar.GZ' }, data),
  ],
  ['data.tar in no known compression', withMembers(control, { ...data, name: 'data.tar.br' })],
  [
    'data.tar in bz2',
    withMembers(control, { ...data, name: 'data.tar.bz2' }),
    'PACKAGE_UNACCEPTABLE',
  ],
  [
    'data.tar in lzma',
    withMembers(control, { ...data, name: 'data.tar.lzma' }),
    'PACKAGE_UNACCEPTABLE',
  ],
  [
    'control.tar that is gzip but named xz',
    withMembers({ ...control, name: 'control.tar.xz' }, data),
  ],
  [
    'control.tar that is gzip but named plain',
    withMembers({ ...control, name: 'control.tar' }, data),
  ],
  ['an empty control.tar.gz', withMembers(plain('control.tar.gz', ''), data)],
  ['an empty plain control.tar', withMembers(plain('control.tar', ''), data)],
  ['an empty data.tar.xz', withMembers(control, plain('data.tar.xz', ''))],
  ['an empty data.tar.zst', withMembers(control, plain('data.tar.zst', ''))],
  ['no control in control.tar', withControl({ name: './postinst', content: '#!/bin/sh\n' })],
  ['an empty tar as control.tar', withControl()],
  ['two ./control', withControl(goodControl, goodControl)],
  ['./control and control', withControl(goodControl, { ...goodControl, name: 'control' })],
  ['./control and .//control', withControl(goodControl, { ...goodControl, name: './/control' })],
  ['./control and /control', withControl(goodControl, { ...goodControl, name: '/control' })],
  ['/control alone', withControl({ ...goodControl, name: '/control' })],
  ['././control alone', withControl({ ...goodControl, name: '././control' })],
  [
    'control as a symbolic link',
    withControl({ name: './control', type: '2', linkName: '/etc/passwd' }),
  ],
  [
    'control as a hard link',
    withControl(
      { name: './x', content: CONTROL },
      { name: './control', type: '1', linkName: './x' },
    ),
  ],
  ['control as a directory', withControl({ name: './control/', type: '5' })],
  ['control as a fifo', withControl({ name: './control', type: '6' })],
  ['control as a device', withControl({ name: './control', type: '3' })],
  [
    'a control slipped in through a link',
    withControl(
      goodControl,
      { name: './d', type: '2', linkName: '.' },
      { ...goodControl, name: './d/control' },
    ),
  ],
  [
    'a control slipped in through the parent',
    withControl(goodControl, { ...goodControl, name: './d/../control' }),
  ],
  [
    'a control of more than 1 MiB',
    withControl({ ...goodControl, content: `${CONTROL}X-Long: ${'x'.repeat(2 ** 20)}\n` }),
  ],
  ['an empty control', withControl({ name: './control', content: '' })],
  ['control.tar with a damaged header', withControl({ ...goodControl, checksum: '000001\0 ' })],
  [
    'control.tar with a header of garbage',
    buildPackage({ control: controlMember(Buffer.alloc(1024, 'x')) }),
  ],
  [
    'control.tar cut off in a header',
    buildPackage({ control: controlMember(buildTar([goodControl]).subarray(0, 300)) }),
  ],
  [
    'control.tar cut off in the content',
    buildPackage({ control: controlMember(buildTar([goodControl]).subarray(0, 600)) }),
  ],
  ['control.tar with a size in letters', withControl({ ...goodControl, size: 'zzzzzzzzzzz\0' })],
  ['control.tar with a huge size', withControl({ ...goodControl, size: '77777777777\0' })],
  [
    'control.tar with a binary size past 2^53',
    withControl({ ...goodControl, size: Buffer.from('80ffffffffffffffffffffff', 'hex') }),
  ],
  [
    'control.tar with a negative size',
    withControl({ ...goodControl, size: Buffer.alloc(12, 255) }),
  ],
  ['a directory with content', withControl({ name: './d/', type: '5', content: 'x' }, goodControl)],
  [
    'a symbolic link with content that is a control',
    withControl({ name: './l', type: '2', content: buildTar([goodControl], 0) }, goodControl),
  ],
  [
    'a pax global header that renames',
    withControl({ name: 'g', type: 'g', content: paxRecord('path', './control') }, goodControl),
  ],
  ['a pax record longer than its header', withControl(pax('99 path=x\n'), goodControl)],
  ['a pax record without a length', withControl(pax('path=x\n'), goodControl)],
  ['a pax record of length 0', withControl(pax('0 path=x\n'), goodControl)],
  ['a pax record of length 2', withControl(pax('2 path=x\n'), goodControl)],
  ['a pax record with a negative length', withControl(pax('-9 path=x\n'), goodControl)],
  ['a pax record without a value', withControl(pax('7 path\n'), goodControl)],
  [
    'a pax record with a NUL in the path',
    withControl(pax(paxRecord('path', './control\0x')), goodControl),
  ],
  ['a pax size that is no number', withControl(pax(paxRecord('size', '1e3')), goodControl)],
  ['a pax size past 2^53', withControl(pax(paxRecord('size', '9'.repeat(20))), goodControl)],
  ['a pax header with nothing behind it', withControl(goodControl, pax(paxRecord('path', 'x')))],
  [
    'a pax header of 2 MiB',
    withControl(pax(paxRecord('comment', 'x'.repeat(2 ** 21))), goodControl),
  ],
  [
    'a GNU long name of 1 MiB',
    withControl({ type: 'L', content: 'x'.repeat(2 ** 20) }, goodControl),
  ],
  [
    'a pax path that makes a second control',
    withControl(goodControl, pax(paxRecord('path', './control')), {
      name: './other',
      content: CONTROL,
    }),
  ],
  [
    'a GNU long name that makes a second control',
    withControl(
      goodControl,
      { type: 'L', content: './control\0' },
      { name: './other', content: CONTROL },
    ),
  ],
  [
    'a pax path and a GNU long name for one member',
    withControl(
      pax(paxRecord('path', './other')),
      { type: 'L', content: './control\0' },
      goodControl,
    ),
  ],
  [
    'two GNU long names for one member',
    withControl(
      { type: 'L', content: './a\0' },
      { type: 'L', content: './control\0' },
      goodControl,
    ),
  ],
  [
    'a control slipped in through a link further in',
    withControl(
      goodControl,
      { name: './d/l', type: '2', linkName: '..' },
      { ...goodControl, name: './d/l/control' },
    ),
  ],
  [
    'a control.tar bomb',
    withControl({ name: './zeros', content: Buffer.alloc(70 * 2 ** 20) }, goodControl),
    'PACKAGE_UNACCEPTABLE',
  ],
  ['a data.tar bomb', withData({ content: Buffer.alloc(9e6) }), 'PACKAGE_UNACCEPTABLE'],
  ['data.tar that leaves the root', withData({ name: '../etc/passwd', content: 'x' })],
  [
    'data.tar that leaves the root further in',
    withData({ name: './usr/../../etc/passwd', content: 'x' }),
  ],
  ['data.tar that ends in the parent', withData({ name: './usr/..', type: '5' })],
  [
    'data.tar that leaves the root by pax',
    withData(pax(paxRecord('path', './a/../../x')), { content: 'x' }),
  ],
  [
    'data.tar that leaves the root by a long name',
    withData({ type: 'L', content: `${'a/'.repeat(80)}../x\0` }, { content: 'x' }),
  ],
  [
    'data.tar that leaves the root by a ustar prefix',
    withData({ name: 'x', prefix: '..', content: 'x' }),
  ],
  ['data.tar with a nameless member', withData({ name: '', content: 'x' })],
  [
    'data.tar with a GNU sparse file',
    withData({ type: 'S', content: 'x', magic: 'ustar  ' }),
    'PACKAGE_UNACCEPTABLE',
  ],
  [
    'data.tar with a pax sparse file',
    withData(pax(paxRecord('GNU.sparse.major', '1')), { content: 'x' }),
    'PACKAGE_UNACCEPTABLE',
  ],
  [
    'data.tar with a multi-volume member',
    withData({ type: 'M', content: 'x' }),
    'PACKAGE_UNACCEPTABLE',
  ],
  ['data.tar with an unknown type', withData({ type: '!', content: 'x' }), 'PACKAGE_UNACCEPTABLE'],
  [
    'data.tar cut off',
    buildPackage({ data: dataMember(buildTar([{ content: 'x'.repeat(600) }]).subarray(0, 900)) }),
  ],
  ['data.tar of garbage', buildPackage({ data: dataMember(Buffer.alloc(5000, 'garbage')) })],
  [
    'data.tar.gz cut off',
    buildPackage({
      data: { ...data, content: Buffer.from(data.content as Buffer).subarray(0, -9) },
    }),
  ],
  [
    'data.tar.gz with garbage behind it',
    buildPackage({
      data: { ...data, content: Buffer.concat([data.content as Buffer, Buffer.from('garbage')]) },
    }),
  ],
  [
    'data.tar.gz with a wrong checksum',
    buildPackage({
      data: {
        ...data,
        content: Buffer.concat([(data.content as Buffer).subarray(0, -8), Buffer.alloc(8)]),
      },
    }),
  ],
];

describe('malformed packages', () => {
  it.each(MALFORMED)('refuses %s', async (_, bytes, code = 'PACKAGE_MALFORMED') => {
    const outcome = await readWhole(bytes).catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(RefusalError);
    expect(outcome).toMatchObject({ code });
    const { message } = outcome as RefusalError;
    expect(message).toMatch(/^[\x20-\x7e]{10,300}$/);
  });

  it('reads a plain package without waiting', () => {
    const options = { checkData: true };
    expect(readPlainPackage(good, options)?.toString()).toBe(CONTROL);
    expect(readPlainPackage(good.subarray(0, good.length - 20), options)).toBeUndefined();
  });

  it('says in which member it happened', async () => {
    await expect(readWhole(withControl())).rejects.toThrow(/^control\.tar\.gz: /);
    await expect(readWhole(withData({ name: '' }))).rejects.toThrow(/^data\.tar\.gz: /);
  });

  it('never fails with anything but a refusal on damaged bytes', async () => {
    const bases = [
      good,
      buildPackage({ control: plain('control.tar', buildTar([goodControl])) }),
      buildPackage({ data: plain('data.tar', buildTar([pax(paxRecord('path', './x')), {}])) }),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...bases),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(20),
        async (base, changes, cut) => {
          const damaged = Buffer.from(base.subarray(0, base.length - (cut > 10 ? cut : 0)));
          for (const [at, value] of changes) damaged[at % damaged.length] = value;
          const outcome = await readWhole(damaged).catch((error: unknown) => error);
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(RefusalError);
        },
      ),
      { numRuns: 600 },
    );
  });

  it('never fails with anything but a refusal on any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (tail) => {
        const bytes = Buffer.concat([Buffer.from('!<arch>\n'), tail]);
        const outcome = await readWhole(bytes).catch((error: unknown) => error);
        if (tail.length > 0) expect(outcome).toBeInstanceOf(RefusalError);
      }),
    );
  });
});

const longPath = `./${'long/'.repeat(60)}name`;
const HONEST: [string, Buffer, number][] = [
  ['a plain one', good, 1],
  [
    'names with System V slashes',
    buildAr([
      { ...VERSION_MEMBER, name: 'debian-binary/' },
      { ...control, name: 'control.tar.gz/' },
      { ...data, name: 'data.tar.gz/' },
    ]),
    1,
  ],
  ['format version 2.1', buildAr([plain('debian-binary', '2.1\n'), control, data]), 1],
  [
    'a format version with more lines',
    buildAr([plain('debian-binary', '2.0\nmore\n'), control, data]),
    1,
  ],
  ['_gpgorigin at the end', withMembers(control, data, plain('_gpgorigin', 'signature')), 1],
  ['_gpgbuilder before control.tar', withMembers(plain('_gpgbuilder', 'xyz'), control, data), 1],
  ['a member without meaning behind data.tar', withMembers(control, data, plain('extra', 'x')), 1],
  ['control without ./', withControl({ ...goodControl, name: 'control' }), 1],
  [
    'scripts around control',
    withControl({ name: './', type: '5' }, { name: './postinst', content: 'x' }, goodControl, {
      name: './md5sums',
      content: 'y',
    }),
    1,
  ],
  [
    'nothing compressed',
    withMembers(plain('control.tar', buildTar([goodControl])), plain('data.tar', buildTar([{}]))),
    1,
  ],
  [
    'data.tar of two gzip members',
    buildPackage({
      data: plain(
        'data.tar.gz',
        Buffer.concat([gzipSync(buildTar([{}], 0)), gzipSync(buildTar([{ name: './g' }]))]),
      ),
    }),
    2,
  ],
  [
    'zstd of two frames',
    buildPackage({
      data: plain(
        'data.tar.zst',
        Buffer.concat([
          zstdCompressSync(buildTar([{}], 0)),
          zstdCompressSync(buildTar([{ name: './g' }])),
        ]),
      ),
    }),
    2,
  ],
  ['an empty data.tar', buildPackage({ data: plain('data.tar', '') }), 0],
  ['a tar without its last zeros', buildPackage({ data: dataMember(buildTar([{}], 0)) }), 1],
  [
    'what stands behind the end of a tar',
    buildPackage({ data: dataMember(Buffer.concat([buildTar([{}]), Buffer.alloc(512, 'x')])) }),
    1,
  ],
  [
    'a GNU long name',
    withData(
      { type: 'L', name: '././@LongLink', magic: 'ustar  ', content: `${longPath}\0` },
      { magic: 'ustar  ' },
    ),
    1,
  ],
  [
    'a GNU long link',
    withData({ type: 'K', content: `${longPath}\0` }, { type: '2', linkName: 'x' }),
    1,
  ],
  ['a V7 tar', withData({ magic: '' }), 1],
  ['a V7 directory', withData({ name: './d/', type: '\0', magic: '' }), 0],
  [
    'a pax path',
    withData(pax(paxRecord('path', longPath) + paxRecord('mtime', '1.5')), { content: 'x' }),
    1,
  ],
  [
    'a pax size',
    withData(pax(paxRecord('size', '3')), { content: 'abc', size: '00000000000\0' }),
    1,
  ],
  ['a pax global comment', withData({ type: 'g', content: paxRecord('comment', 'commit') }, {}), 1],
  [
    'a binary size',
    withData({ content: 'abc', size: Buffer.from('800000000000000000000003', 'hex') }),
    1,
  ],
  [
    'every type of member',
    withData(
      { name: './d/', type: '5' },
      { name: './a', content: 'x' },
      { name: './b', type: '1', linkName: './a' },
      { name: './c', type: '2', linkName: '/etc/../x' },
      { name: './e', type: '3' },
      { name: './f', type: '4' },
      { name: './g', type: '6' },
      { name: './h', type: '7', content: 'y' },
    ),
    7,
  ],
  ['names that are not UTF-8', withData({ name: './\xff\xfe', content: 'x' }), 1],
  ['names with two dots in them', withData({ name: './a..b/..c/d..', content: 'x' }), 1],
];

describe('honest packages', () => {
  it.each(HONEST)('reads %s', async (_, bytes, files) => {
    expect(await readWhole(bytes)).toEqual({ control: 'sample', files });
  });

  it.each(HONEST.filter(([name]) => !name.includes('pax')))(
    'agrees with dpkg-deb, which reads %s too',
    async (_, bytes) => {
      const folder = mkdtempSync(join(tmpdir(), 'aptkeep-honest-'));
      try {
        writeFileSync(join(folder, 'x.deb'), bytes);
        const read = execFileSync('dpkg-deb', ['-f', join(folder, 'x.deb')], { encoding: 'utf8' });
        expect(read).toBe(CONTROL);
      } finally {
        rmSync(folder, { recursive: true });
      }
    },
  );

  it.each(['-Znone', '-Zgzip', '-Zxz', '-Zzstd'])('reads what dpkg-deb %s builds', async (flag) => {
    const files = {
      'usr/share/a': 'a'.repeat(100_000),
      'usr/share/b c': '',
      [`opt/${'x'.repeat(150)}`]: 'long',
    };
    const bytes = runDpkgDeb(CONTROL, [flag], files);
    const source = bytesOf(bytes);
    const archive = await readPackage(source);
    expect(archive.control.toString()).toBe(CONTROL);
    expect(await verifyData(source, archive, LIMITS)).toEqual({ files: 3, bytes: 100_004 });
  });

  it.each([
    ['GNU', '--format=gnu'],
    ['pax', '--format=pax'],
    ['ustar', '--format=ustar'],
    ['V7', '--format=v7'],
    ['oldgnu', '--format=oldgnu'],
  ])('counts a tar of format %s as tar itself does', async (_, format) => {
    const folder = mkdtempSync(join(tmpdir(), 'aptkeep-tar-'));
    try {
      writeFileSync(join(folder, 'é'), 'x'.repeat(5000));
      writeFileSync(join(folder, 'y'.repeat(90)), 'y');
      const tar = execFileSync('tar', [format, '-C', folder, '-c', '.']);
      const listed = pipeThrough('tar', ['-t'], tar)
        .toString()
        .split('\n')
        .filter((l) => /[^/]$/.test(l));
      const bytes = buildPackage({ data: plain('data.tar.xz', pipeThrough('xz', ['-c'], tar)) });
      expect((await readWhole(bytes)).files).toBe(listed.length);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('reads control without touching data.tar', async () => {
    const source = bytesOf(good);
    let furthest = 0;
    const watched = {
      ...source,
      stream: (start: number, end: number) => {
        furthest = Math.max(furthest, end);
        return source.stream(start, end);
      },
    };
    const archive = await readPackage(watched);
    expect(furthest).toBeLessThanOrEqual(archive.data.offset);
  });

  it('hands an error of the source on as it is', async () => {
    const broken = { ...bytesOf(good), read: () => Promise.reject(new Error('disk gone')) };
    await expect(readPackage(broken)).rejects.toThrow('disk gone');
  });
});
