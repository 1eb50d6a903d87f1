/**
 * The hosts' client as a package, made in this process from the program's own debian/ folder, with
 * the contents that debian/rules gives it. Source of truth: debian/, deb-md5sums(5),
 * deb-conffiles(5), dpkg-gencontrol(1) for Installed-Size. Floor 4.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { buildPackage, type ControlMember, type PackagedFile } from '../deb/build.ts';
import { parseParagraphs } from '../deb/deb822.ts';
import type { OwnPackage } from '../repository/own-packages.ts';

export const CLIENT_PACKAGE = 'aptkeep-client';

const SCRIPTS = ['postinst', 'prerm', 'postrm'] as const;
const ROOT = new URL('../../', import.meta.url);

const readSource = (path: string): Promise<Buffer> => readFile(new URL(path, ROOT));

/** The newest entry of debian/changelog; `modified` in seconds since the epoch. deb-changelog(5). */
async function readChangelog(): Promise<{ source: string; version: string; modified: number }> {
  const text = (await readSource('debian/changelog')).toString('utf8');
  const [, source, version] = /^(\S+) \((\S+)\) /.exec(text) ?? [];
  const date = Date.parse(/^ -- .*> {2}(.+)$/m.exec(text)?.[1] ?? '');
  if (!source || !version || Number.isNaN(date)) throw new Error('debian/changelog has no entry');
  return { source, version, modified: Math.floor(date / 1000) };
}

/** The fields of a paragraph of debian/control, which is a package's or (without a name) the source's. */
async function readControl(name?: string): Promise<Record<string, string>> {
  const paragraphs = parseParagraphs(await readSource('debian/control')).map((fields) =>
    Object.fromEntries(fields.map((field) => [field.name, field.value.toString('utf8').trim()])),
  );
  const found = paragraphs.find((fields) => fields.Package === name);
  if (!found) throw new Error(`debian/control has no package ${name}`);
  return found;
}

/** What debian/aptkeep-client.install names, in the order in which a folder is walked. */
async function readFiles(): Promise<PackagedFile[]> {
  const lines = (await readSource(`debian/${CLIENT_PACKAGE}.install`)).toString('utf8').split('\n');
  const files: PackagedFile[] = [];
  for (const line of lines.filter(Boolean)) {
    const [source = '', folder = ''] = line.split(' ');
    const { mode } = await stat(new URL(source, ROOT));
    files.push({
      path: `/${folder}/${basename(source)}`,
      content: await readSource(source),
      mode: mode & 0o100 ? 0o755 : 0o644,
    });
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

const isConffile = ({ path }: PackagedFile): boolean => path.startsWith('/etc/');

function renderSums(files: readonly PackagedFile[]): string {
  const hash = (content: Uint8Array): string => createHash('md5').update(content).digest('hex');
  return files
    .filter((file) => !isConffile(file))
    .map(({ path, content }) => `${hash(content)}  ${path.slice(1)}\n`)
    .join('');
}

/** In KiB: each file rounded up, each folder one, the root and the one of the members too. */
function measure(files: readonly PackagedFile[], members: readonly ControlMember[]): number {
  const folders = new Set(['', 'DEBIAN']);
  for (const { path } of files) {
    const segments = path.split('/').slice(0, -1);
    segments.forEach((_, depth) => {
      folders.add(segments.slice(0, depth + 1).join('/'));
    });
  }
  const sizes = [...files, ...members].map(({ content }) => Math.ceil(content.length / 1024));
  return sizes.reduce((sum, size) => sum + size, folders.size);
}

async function readMembers(files: readonly PackagedFile[]): Promise<ControlMember[]> {
  const conffiles = files.filter(isConffile).map(({ path }) => `${path}\n`);
  const scripts = SCRIPTS.map(async (name) => {
    return { name, content: await readSource(`debian/${CLIENT_PACKAGE}.${name}`) };
  });
  return [
    { name: 'conffiles', content: Buffer.from(conffiles.join('')) },
    { name: 'md5sums', content: Buffer.from(renderSums(files)) },
    ...(await Promise.all(scripts)),
  ];
}

/** In the order of dpkg-gencontrol. */
const FIELDS = [
  ...['Package', 'Source', 'Version', 'Architecture', 'Maintainer', 'Installed-Size', 'Depends'],
  ...['Section', 'Priority', 'Multi-Arch', 'Description'],
] as const;

/** The package as this program has it; the same bytes every time. */
export async function buildClientPackage(): Promise<OwnPackage> {
  const { source, version, modified } = await readChangelog();
  const files = await readFiles();
  const members = await readMembers(files);
  const known: Record<string, string> = {
    ...(await readControl()),
    ...(await readControl(CLIENT_PACKAGE)),
    ...{ Source: source, Version: version, 'Installed-Size': String(measure(files, members)) },
  };
  const fields = Object.fromEntries(FIELDS.map((name) => [name, known[name] ?? '']));
  const content = await buildPackage(fields, files, modified, members);
  return { package: CLIENT_PACKAGE, version, content };
}
