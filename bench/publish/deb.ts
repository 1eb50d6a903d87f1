/**
 * A small binary package, written as fast as a bench needs a hundred thousand of them: ar and ustar
 * by hand, gzip as dpkg-deb -Zgzip. Sources: deb(5), tar(5).
 */
import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';

export interface File {
  /** Absolute. */
  path: string;
  content: Uint8Array;
}

const BLOCK_BYTES = 512;
/** Of every member, so that the same package is the same bytes. */
const MODIFIED = 1_700_000_000;

function renderTarHeader(name: string, size: number, type: '0' | '5'): Buffer {
  const header = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, width: number): string =>
    `${value.toString(8).padStart(width - 1, '0')}\0`;
  header.write(name, 0, 'latin1');
  header.write(octal(type === '5' ? 0o755 : 0o644, 8), 100, 'latin1');
  header.write(octal(0, 8) + octal(0, 8), 108, 'latin1');
  header.write(octal(size, 12) + octal(MODIFIED, 12), 124, 'latin1');
  header.write(`        ${type}`, 148, 'latin1');
  header.write('ustar\x0000root', 257, 'latin1');
  header.write('root', 297, 'latin1');
  let sum = 0;
  for (const byte of header) sum += byte;
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** `/a/b/c` -> `./`, `./a/`, `./a/b/`. */
function listFolders(files: readonly File[]): string[] {
  const folders = new Set(['./']);
  for (const { path } of files) {
    for (let at = path.indexOf('/', 1); at > 0; at = path.indexOf('/', at + 1)) {
      folders.add(`.${path.slice(0, at + 1)}`);
    }
  }
  return [...folders].sort();
}

function renderTar(files: readonly File[]): Buffer {
  const blocks: Uint8Array[] = listFolders(files).map((name) => renderTarHeader(name, 0, '5'));
  for (const { path, content } of files) {
    const padding = (BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES;
    blocks.push(renderTarHeader(`.${path}`, content.length, '0'), content, Buffer.alloc(padding));
  }
  blocks.push(Buffer.alloc(2 * BLOCK_BYTES));
  return Buffer.concat(blocks);
}

function renderMember(name: string, content: Uint8Array): Uint8Array[] {
  const field = (text: string | number, width: number): string => String(text).padEnd(width);
  const header = `${field(name, 16)}${field(MODIFIED, 12)}${field(0, 6)}${field(0, 6)}${field('100644', 8)}${field(content.length, 10)}\`\n`;
  return [Buffer.from(header, 'latin1'), content, Buffer.from(content.length % 2 ? '\n' : '')];
}

/** @param level of gzip, for the data; large ones are made of bytes that do not compress. */
export function renderDeb(control: string, files: readonly File[], level = 6): Buffer {
  const sums = files.map(({ path, content }) => {
    const sum = createHash('md5').update(content).digest('hex');
    return `${sum}  ${path.slice(1)}\n`;
  });
  const controlTar = renderTar([
    { path: '/control', content: Buffer.from(control) },
    { path: '/md5sums', content: Buffer.from(sums.join('')) },
  ]);
  return Buffer.concat([
    Buffer.from('!<arch>\n'),
    ...renderMember('debian-binary', Buffer.from('2.0\n')),
    ...renderMember('control.tar.gz', gzipSync(controlTar, { level: 6 })),
    ...renderMember('data.tar.gz', gzipSync(renderTar(files), { level })),
  ]);
}
