/**
 * Packages made for a test with dpkg-deb: the Moodle of examples/, and small ones of any name and
 * size. Source: deb(5), dpkg-deb(1).
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CHECKOUT, cleanEnvironment, succeed } from './command.ts';

const EXAMPLE = join(CHECKOUT, 'examples/moodle');

/** Tuesday, 14 May 2013, the day of Moodle 2.5. */
const MOODLE_EPOCH = '1368489600';

/** lu-moodle-lu of that version, built by the example's own script; resolves with its path. */
export async function buildMoodle(version: string, output: string): Promise<string> {
  const env = { ...cleanEnvironment(), SOURCE_DATE_EPOCH: MOODLE_EPOCH };
  const args = [`lu-moodle-lu_v${version}`, join(EXAMPLE, 'source'), output];
  await succeed(join(EXAMPLE, 'build'), args, { env });
  return join(output, `lu-moodle-lu_${version}_all.deb`);
}

export interface SmallPackage {
  name: string;
  version: string;
  /** Of random contents, which do not compress; default 64. */
  payloadBytes?: number;
  /** Further files: path on the host -> content. */
  files?: Readonly<Record<string, Uint8Array>>;
}

/** A package of Architecture all that needs nothing and runs nothing; resolves with its path. */
export async function buildSmall(wanted: SmallPackage, output: string): Promise<string> {
  const { name, version, payloadBytes = 64, files = {} } = wanted;
  await mkdir(output, { recursive: true });
  const tree = await mkdtemp(join(output, 'tree-'));
  const share = join(tree, 'usr/share', name);
  await mkdir(join(tree, 'DEBIAN'), { recursive: true });
  await mkdir(share, { recursive: true });
  await writeFile(join(share, 'payload'), randomBytes(payloadBytes));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), content);
  }
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    'Architecture: all',
    'Maintainer: Test <test@aptkeep.example>',
    'Description: a package made for a test',
  ];
  await writeFile(join(tree, 'DEBIAN/control'), `${control.join('\n')}\n`);
  const file = join(output, `${name}_${version.replace(/^\d+:/, '')}_all.deb`);
  const options = ['--root-owner-group', '-Zgzip', '-z1', '--build', tree, file];
  await succeed('dpkg-deb', options);
  await rm(tree, { recursive: true });
  return file;
}

/** A format of dpkg-query and dpkg-deb: these fields, a tab between. */
export const formatFields = (...names: string[]): string =>
  names.map((name) => `\${${name}}`).join('\t');

/** Fields of a package file, as dpkg reads them; '' for those that it does not have. */
export async function showFields(file: string, ...names: string[]): Promise<string[]> {
  const format = `--showformat=${formatFields(...names)}`;
  return (await succeed('dpkg-deb', ['--show', format, file])).split('\t');
}
