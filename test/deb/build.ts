/** Hand-made ar and tar archives, honest or not, for what no Debian tool would build. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface ArEntry {
  name: string;
  content: Uint8Array | string;
  /** Column of the header in place of the content's length. */
  size?: string;
  end?: string;
  pad?: boolean;
}

export interface TarEntry {
  name?: string;
  content?: Uint8Array | string;
  type?: string;
  linkName?: string;
  size?: Uint8Array | string;
  magic?: string;
  prefix?: string;
  checksum?: string;
}

export function buildAr(entries: ArEntry[], magic = '!<arch>\n'): Buffer {
  const parts: Uint8Array[] = [Buffer.from(magic)];
  for (const { name, content, size, end = '`\n', pad = true } of entries) {
    const bytes = Buffer.from(content as string);
    const columns = [
      name.padEnd(16),
      '0'.padEnd(12),
      '0'.padEnd(6),
      '0'.padEnd(6),
      '100644'.padEnd(8),
      (size ?? String(bytes.length)).padEnd(10),
      end,
    ];
    parts.push(Buffer.from(columns.join(''), 'latin1'), bytes);
    if (pad && bytes.length % 2 === 1) parts.push(Buffer.from('\n'));
  }
  return Buffer.concat(parts);
}

function buildTarMember(entry: TarEntry): Buffer {
  const content = Buffer.from((entry.content ?? '') as string);
  const header = Buffer.alloc(512);
  header.write(entry.name ?? './f', 0, 100, 'latin1');
  // A folder that only root may enter would stop dpkg-deb run by anybody else.
  header.write(entry.type === '5' ? '0000755\0' : '0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  const size = entry.size ?? `${content.length.toString(8).padStart(11, '0')}\0`;
  Buffer.from(size as string, 'latin1').copy(header, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(entry.type ?? '0', 156, 1, 'latin1');
  header.write(entry.linkName ?? '', 157, 100, 'latin1');
  header.write(entry.magic ?? 'ustar\x0000', 257, 8, 'latin1');
  header.write(entry.prefix ?? '', 345, 155, 'latin1');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(entry.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

export function buildTar(entries: TarEntry[], end = 1024): Buffer {
  return Buffer.concat([...entries.map(buildTarMember), Buffer.alloc(end)]);
}

/** One pax record, its length counted. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length;
  while (String(length).length + rest.length !== length) {
    length = String(length).length + rest.length;
  }
  return `${length}${rest}`;
}

export const CONTROL = [
  'Package: sample',
  'Version: 1.0-1',
  'Architecture: amd64',
  'Maintainer: A Person <a@example.org>',
  'Description: a sample',
  '',
].join('\n');

export const VERSION_MEMBER: ArEntry = { name: 'debian-binary', content: '2.0\n' };

export function controlMember(tar = buildTar([{ name: './control', content: CONTROL }])): ArEntry {
  return { name: 'control.tar.gz', content: gzipSync(tar) };
}

export function dataMember(tar = buildTar([{ name: './usr/f', content: 'hello' }])): ArEntry {
  return { name: 'data.tar.gz', content: gzipSync(tar) };
}

/** A whole package around other people's members. */
export function buildPackage(members: Partial<Record<'control' | 'data', ArEntry>> = {}): Buffer {
  return buildAr([
    VERSION_MEMBER,
    members.control ?? controlMember(),
    members.data ?? dataMember(),
  ]);
}

/** A package as dpkg-deb builds it. `flags` like `-Zxz`; `control` the bytes of DEBIAN/control. */
export function runDpkgDeb(
  control: string | Uint8Array,
  flags: string[] = ['-Zgzip'],
  files: Record<string, string | Uint8Array> = { 'usr/share/sample/f': 'hello\n' },
): Buffer {
  const root = mkdtempSync(join(tmpdir(), 'aptkeep-deb-'));
  try {
    mkdirSync(join(root, 'tree/DEBIAN'), { recursive: true, mode: 0o755 });
    writeFileSync(join(root, 'tree/DEBIAN/control'), control);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(join(root, 'tree', name, '..'), { recursive: true });
      writeFileSync(join(root, 'tree', name), content);
    }
    const target = join(root, 'sample.deb');
    execFileSync('dpkg-deb', ['--root-owner-group', ...flags, '-b', join(root, 'tree'), target], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return readFileSync(target);
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Through a program's standard input and output, as in `xz -9`. */
export function pipeThrough(program: string, flags: string[], input: Uint8Array): Buffer {
  return execFileSync(program, flags, { input, maxBuffer: 2 ** 28 });
}
