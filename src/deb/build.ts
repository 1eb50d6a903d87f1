/**
 * Writes a small binary package: what the server itself has to hand to hosts. Reproducible: the
 * same files at the same time give the same bytes. Source: deb(5), deb-control(5), ar(5). Floor 1.
 */
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { checkRelations, RELATION_FIELDS } from './relations.ts';

/** A file as dpkg unpacks it: an absolute path, owned by root. */
export interface PackagedFile {
  path: string;
  content: Uint8Array;
  mode: number;
}

/** What stands beside the control file: a maintainer script, conffiles, md5sums. */
export interface ControlMember {
  name: 'conffiles' | 'md5sums' | 'preinst' | 'postinst' | 'prerm' | 'postrm';
  content: Uint8Array;
}

const AR_MAGIC = '!<arch>\n';
const compress = promisify(gzip);

function renderMember(name: string, content: Uint8Array, modified: number): Buffer {
  const field = (text: string | number, width: number): string => String(text).padEnd(width);
  const header = `${field(name, 16)}${field(modified, 12)}${field(0, 6)}${field(0, 6)}${field('100644', 8)}${field(content.length, 10)}\`\n`;
  const padding = content.length % 2 ? '\n' : '';
  return Buffer.concat([Buffer.from(header, 'latin1'), content, Buffer.from(padding)]);
}

/** `/a/b/c` -> `./`, `./a/`, `./a/b/`: dpkg wants the folders before what is in them. */
function listFolders(files: readonly PackagedFile[]): string[] {
  const folders = new Set(['./']);
  for (const { path } of files) {
    const segments = path.split('/').slice(1, -1);
    segments.forEach((_, depth) => {
      folders.add(`./${segments.slice(0, depth + 1).join('/')}/`);
    });
  }
  return [...folders].sort();
}

async function renderTar(files: readonly PackagedFile[], modified: number): Promise<Buffer> {
  const tar = pack();
  const root = { uid: 0, gid: 0, uname: 'root', gname: 'root', mtime: new Date(modified * 1000) };
  for (const name of listFolders(files))
    tar.entry({ ...root, name, type: 'directory', mode: 0o755 });
  for (const { path, content, mode } of files) {
    tar.entry({ ...root, name: `.${path}`, mode, size: content.length }, Buffer.from(content));
  }
  tar.finalize();
  return compress(await buffer(tar), { level: 9 });
}

/** Source: deb-postinst(5): dpkg runs them; the others it reads. */
const isScript = (name: string): boolean => /^(pre|post)(inst|rm)$/.test(name);

/**
 * A .deb of these control fields and files.
 * @param modified seconds since the epoch, given to every member.
 * @throws RefusalError PACKAGE_UNACCEPTABLE where a relation field does not parse.
 */
export async function buildPackage(
  fields: Readonly<Record<string, string>>,
  files: readonly PackagedFile[],
  modified: number,
  members: readonly ControlMember[] = [],
): Promise<Buffer> {
  for (const [name, value] of Object.entries(fields)) {
    if (RELATION_FIELDS.has(name.toLowerCase())) checkRelations(name, value);
  }
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`);
  const control = [
    { path: '/control', content: Buffer.from(lines.join('')), mode: 0o644 },
    ...members.map(({ name, content }) => {
      return { path: `/${name}`, content, mode: isScript(name) ? 0o755 : 0o644 };
    }),
  ];
  return Buffer.concat([
    Buffer.from(AR_MAGIC),
    renderMember('debian-binary', Buffer.from('2.0\n'), modified),
    renderMember('control.tar.gz', await renderTar(control, modified), modified),
    renderMember('data.tar.gz', await renderTar(files, modified), modified),
  ]);
}
