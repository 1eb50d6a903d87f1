/**
 * Broken and malicious packages, uploaded to the real server: refused with 422 and a sentence, in
 * bounded memory, nothing kept, nobody else disturbed. What dpkg-deb says of each stands beside it.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildAr,
  buildPackage,
  buildTar,
  CONTROL,
  controlMember,
  dataMember,
  paxRecord,
  pipeThrough,
  VERSION_MEMBER,
} from '../deb/build.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { issuePrivately } from '../e2e/private-socket.ts';
import { type Server, startServer } from '../e2e/program.ts';
import { type Client, curl, listFiles, putFile } from '../e2e/site.ts';

const MIB = 2 ** 20;
/** Far below what a bomb would take, well above what one upload does. */
const MAX_GROWTH_BYTES = 200 * MIB;
const RELEASE = '/dists/stable/InRelease';

const scratch = createScratch('packages-attack');
const data = join(scratch, 'data');
let server: Server;
let uploader: Client;

const readPeak = async (): Promise<number> =>
  Number(
    /^VmHWM:\s+(\d+) kB$/m.exec(await readFile(`/proc/${server.process.pid}/status`, 'utf8'))?.[1],
  ) * 1024;

const lines = (...fields: string[]): string => `${CONTROL}${fields.join('\n')}\n`;
const withControl = (control: string | Uint8Array): Buffer =>
  buildPackage({ control: controlMember(buildTar([{ name: './control', content: control }])) });
const zeros = (name: string, bytes: number): Buffer =>
  buildTar([
    { name, content: Buffer.alloc(bytes) },
    { name: './control', content: CONTROL },
  ]);
const packed = (kind: 'control' | 'data', tar: Buffer, suffix: 'gz' | 'xz' | 'zst'): Buffer => {
  const content = {
    gz: () => gzipSync(tar, { level: 9 }),
    xz: () => pipeThrough('xz', ['-1', '-T1'], tar),
    zst: () => zstdCompressSync(tar),
  }[suffix]();
  return buildPackage({ [kind]: { name: `${kind}.tar.${suffix}`, content } });
};

/** The bytes, and what the sentence says. */
const REFUSED: [string, () => Buffer, RegExp][] = [
  ['nothing', () => Buffer.alloc(0), /ar archive|not a/i],
  ['a ZIP file', () => Buffer.from('PK\x03\x04'.padEnd(600, 'x')), /ar|package/i],
  ['a package cut off', () => buildPackage().subarray(0, -30), /data\.tar|end|cut/i],
  [
    'a package in a package',
    () => buildPackage({ data: { name: 'data.tar', content: buildPackage() } }),
    /data\.tar/,
  ],
  [
    'two control.tar',
    () => buildAr([VERSION_MEMBER, controlMember(), controlMember(), dataMember()]),
    /control\.tar/,
  ],
  [
    'data before control',
    () => buildAr([VERSION_MEMBER, dataMember(), controlMember()]),
    /data\.tar|control/,
  ],
  [
    'bytes behind the end',
    () => Buffer.concat([buildPackage(), Buffer.from('#!/bin/sh\n')]),
    /.{10}/,
  ],
  [
    'a control of a symbolic link',
    () =>
      buildPackage({
        control: controlMember(
          buildTar([{ name: './control', type: '2', linkName: '/etc/shadow' }]),
        ),
      }),
    /control/,
  ],
  [
    'a file outside the root',
    () =>
      buildPackage({
        data: dataMember(buildTar([{ name: './../../etc/cron.d/x', content: 'x' }])),
      }),
    /data\.tar/,
  ],
  [
    'a file outside the root by pax',
    () =>
      buildPackage({
        data: dataMember(
          buildTar([
            { name: 'x', type: 'x', content: paxRecord('path', '../x') },
            { content: 'x' },
          ]),
        ),
      }),
    /data\.tar/,
  ],
  [
    'a sparse file',
    () =>
      buildPackage({ data: dataMember(buildTar([{ type: 'S', content: 'x', magic: 'ustar  ' }])) }),
    /data\.tar/,
  ],
  [
    'a second paragraph',
    () => withControl(`${CONTROL}\nPackage: other\nVersion: 1\n`),
    /paragraph/,
  ],
  ['a field twice', () => withControl(lines('Version: 2.0-1')), /once more/],
  ['a NUL in a field', () => withControl(lines('X-Odd: a\0b')), /.{10}/],
  [
    'a carriage return in a field',
    () => withControl(lines('X-Odd: a\rFilename: pool/evil')),
    /.{10}/,
  ],
  ['no version', () => withControl(CONTROL.replace(/Version.*\n/, '')), /Version/],
  ['a version that is none', () => withControl(CONTROL.replace('1.0-1', '1.0 1')), /[Vv]ersion/],
  ['a name with a path in it', () => withControl(CONTROL.replace('sample', '../../x')), /Package/],
  [
    'an architecture with a path in it',
    () => withControl(CONTROL.replace('amd64', '../x')),
    /Architecture/,
  ],
  ['a control of 2 MiB', () => withControl(lines(`X-Long: ${'x'.repeat(2 * MIB)}`)), /control/],
  ['a relation that apt cannot read', () => withControl(lines('Depends: a (>= ')), /Depends/],
  [
    'a control.tar bomb in gzip',
    () => packed('control', zeros('./zeros', 300 * MIB), 'gz'),
    /control\.tar\.gz/,
  ],
  [
    'a control.tar bomb in xz',
    () => packed('control', zeros('./zeros', 300 * MIB), 'xz'),
    /control\.tar\.xz/,
  ],
  [
    'a control.tar bomb in zstd',
    () => packed('control', zeros('./zeros', 300 * MIB), 'zst'),
    /control\.tar\.zst/,
  ],
];

/** What is odd and still a package: dpkg-deb unpacks it, apt-ftparchive indexes it. */
const TAKEN: [string, () => Buffer][] = [
  ['300 MiB of zeros in gzip', () => packed('data', zeros('./usr/zeros', 300 * MIB), 'gz')],
  ['300 MiB of zeros in xz', () => packed('data', zeros('./usr/zeros', 300 * MIB), 'xz')],
  ['300 MiB of zeros in zstd', () => packed('data', zeros('./usr/zeros', 300 * MIB), 'zst')],
  [
    'a stranger in front of control',
    () => buildAr([VERSION_MEMBER, { name: '_x', content: 'x' }, controlMember(), dataMember()]),
  ],
  [
    'a signature behind it',
    () =>
      buildAr([
        VERSION_MEMBER,
        controlMember(),
        dataMember(),
        { name: '_gpgorigin', content: 'x' },
      ]),
  ],
  ['bytes that are no UTF-8', () => withControl(Buffer.from(lines('X-Odd: \xe9'), 'latin1'))],
  [
    'several gzip members',
    () => {
      const tar = buildTar([{ name: './usr/f', content: 'x'.repeat(3000) }]);
      const content = Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]);
      return buildPackage({ data: { name: 'data.tar.gz', content } });
    },
  ],
];

const rename = (bytes: () => Buffer, at: number): Buffer => {
  // A version of its own for each: the same name with other bytes would be refused for that.
  const marked = controlMember(
    buildTar([{ name: './control', content: CONTROL.replace('1.0-1', `2.${at}`) }]),
  );
  const original = bytes();
  return original.includes(controlMember().content as Buffer)
    ? replaceMember(original, marked)
    : original;
};

function replaceMember(
  bytes: Buffer,
  member: { name: string; content: Uint8Array | string },
): Buffer {
  const old = controlMember();
  const whole = buildAr([{ ...old }], '');
  const at = bytes.indexOf(whole);
  if (at < 0) return bytes;
  const fresh = buildAr([member], '');
  return Buffer.concat([bytes.subarray(0, at), fresh, bytes.subarray(at + whole.length)]);
}

async function write(bytes: Buffer, name: string): Promise<string> {
  const folder = join(scratch, 'made');
  await mkdir(folder, { recursive: true });
  const file = join(folder, name);
  await writeFile(file, bytes);
  return file;
}

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issuePrivately(data, 'build', 'uploader');
});

afterAll(() => server.stop());

describe('a hostile package', () => {
  it.each(REFUSED)('is refused, and nothing stays: %s', async (_name, make, sentence) => {
    const file = await write(make(), 'hostile.deb');
    const before = await readPeak();
    const answer = await putFile(uploader, server.url, file);
    expect([answer.status, answer.exit]).toEqual([422, 0]);
    const { detail, code } = JSON.parse(answer.body);
    expect(code).toMatch(/^PACKAGE_(MALFORMED|UNACCEPTABLE)$/);
    expect(detail).toMatch(sentence);
    expect(detail).toMatch(/^[\x20-\x7e]{10,400}$/);
    expect(detail).not.toContain(data);
    expect((await readPeak()) - before).toBeLessThan(MAX_GROWTH_BYTES);
    expect(await listFiles(join(data, 'pool'))).toEqual([]);
    expect((await curl(uploader, server.url + RELEASE)).status).toBe(200);
  });
});

describe('an odd package that dpkg unpacks', () => {
  it.each(TAKEN)('is taken, in bounded memory: %s', async (name, make) => {
    const at = TAKEN.findIndex(([one]) => one === name);
    const file = await write(rename(make, at), 'odd.deb');
    execFileSync('dpkg-deb', ['--fsys-tarfile', file], { stdio: 'ignore' });
    const index = execFileSync('apt-ftparchive', ['packages', join(scratch, 'made')], { cwd: '/' });
    expect(index.toString('latin1')).toContain('Package: sample');
    const before = await readPeak();
    const answer = await putFile(uploader, server.url, file, `stable/`);
    expect(answer.status, answer.body).toBe(201);
    expect((await readPeak()) - before).toBeLessThan(MAX_GROWTH_BYTES);
    await waitFor('nothing in staging', async () =>
      (await listFiles(join(data, 'pool/.staging'))).length === 0 ? true : undefined,
    );
  });
});
