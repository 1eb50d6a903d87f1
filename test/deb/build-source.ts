/**
 * Source packages and .changes files as dpkg's own programs make them. Source: dpkg-source(1),
 * dpkg-buildpackage(1), dpkg-genchanges(1).
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanEnvironment } from '../e2e/command.ts';

export interface WantedSource {
  name: string;
  version?: string;
  distribution?: string;
  format?: '1.0' | '3.0 (native)' | '3.0 (quilt)';
  section?: string;
  /** What upstream's one file holds: the same text makes the same tarball. */
  upstream?: string;
  /** Component tarballs of 3.0 (quilt). */
  components?: readonly string[];
  /** A package for the installer besides NAME, and one of debugging symbols. */
  extras?: boolean;
  /** Of dpkg-buildpackage, as in -S, -b, -sa, -sd. */
  flags?: readonly string[];
}

/** File name -> bytes: the .changes and everything that it names, and the tarballs of upstream. */
export type Built = ReadonlyMap<string, Buffer>;

const EPOCH = '1606352400';
const TAR_FLAGS = ['--sort=name', `--mtime=@${EPOCH}`, '--owner=0', '--group=0', '--numeric-owner'];

const control = ({ name, section = 'misc', extras = false }: WantedSource): string =>
  [
    `Source: ${name}`,
    `Section: ${section}`,
    'Priority: optional',
    'Maintainer: Tést <test@aptkeep.example>',
    'Build-Depends: dpkg-dev (>= 1.17) <!nocheck>, make [linux-any]',
    'Standards-Version: 4.6.2',
    'Rules-Requires-Root: no',
    '',
    `Package: ${name}`,
    'Architecture: all',
    'Description: a package made for a test',
    ' Of several lines.',
    ...(extras
      ? [
          '',
          `Package: ${name}-udeb`,
          'Package-Type: udeb',
          'Section: debian-installer',
          'Architecture: all',
          'Description: the same for the installer',
        ]
      : []),
    '',
  ].join('\n');

const rules = ({ name, extras = false }: WantedSource): string => `#!/bin/sh
set -e
case $1 in
binary|binary-indep)
  mkdir -p debian/${name}/DEBIAN debian/${name}/usr/share/${name}
  cp upstream debian/${name}/usr/share/${name}/
  dpkg-gencontrol -p${name} -Pdebian/${name}
  dpkg-deb --root-owner-group -Zgzip --build debian/${name} ..
  ${
    extras
      ? `
  V=$(dpkg-parsechangelog -S Version | sed s/^[0-9]*://)
  mkdir -p debian/u/DEBIAN debian/d/DEBIAN
  dpkg-gencontrol -p${name}-udeb -Pdebian/u -n${name}-udeb_$V\\_all.udeb
  dpkg-deb --root-owner-group -Zgzip --build debian/u ../${name}-udeb_$V\\_all.udeb
  dpkg-gencontrol -p${name} -Pdebian/d -n${name}-dbgsym_$V\\_all.deb -DPackage=${name}-dbgsym \\
    -DAuto-Built-Package=debug-symbols -DSection=debug
  dpkg-deb --root-owner-group -Zgzip --build debian/d ../${name}-dbgsym_$V\\_all.deb`
      : ''
  } ;;
esac
`;

const changelog = ({ name, version = '1.0-1', distribution = 'stable' }: WantedSource): string =>
  `${name} (${version}) ${distribution}; urgency=medium\n\n  * Made.\n\n -- Tést <test@aptkeep.example>  Thu, 26 Nov 2020 01:00:00 +0000\n`;

function packUpstream(root: string, wanted: WantedSource, tree: string, stem: string): void {
  const pack = (file: string, folder: string, from: string): void => {
    const args = [...TAR_FLAGS, '-C', from, '-c', folder];
    const tar = execFileSync('tar', args);
    writeFileSync(join(root, file), execFileSync('gzip', ['-9n'], { input: tar }));
  };
  pack(`${stem}.orig.tar.gz`, tree, root);
  for (const component of wanted.components ?? []) {
    mkdirSync(join(root, tree, component));
    writeFileSync(join(root, tree, component, 'file'), component);
    pack(`${stem}.orig-${component}.tar.gz`, component, join(root, tree));
  }
}

const built = new Map<string, Built>();

/** What dpkg-buildpackage makes of it; the same bytes when asked for the same again. */
export function buildSource(wanted: WantedSource): Built {
  const key = JSON.stringify(wanted);
  const made = built.get(key) ?? runBuild(wanted);
  built.set(key, made);
  return made;
}

function runBuild(wanted: WantedSource): Built {
  const { name, version = '1.0-1', format = '3.0 (quilt)', upstream = name } = wanted;
  const root = mkdtempSync(join(tmpdir(), 'aptkeep-source-'));
  try {
    const plain = version.replace(/^\d+:/, '');
    const stem = `${name}_${plain.replace(/-[^-]*$/, '')}`;
    const tree = `${name}-tree`;
    mkdirSync(join(root, tree));
    writeFileSync(join(root, tree, 'upstream'), upstream);
    const isNative = format === '3.0 (native)' || !plain.includes('-');
    if (!isNative) packUpstream(root, wanted, tree, stem);
    mkdirSync(join(root, tree, 'debian/source'), { recursive: true });
    for (const [path, text] of [
      ['source/format', `${format}\n`],
      ['control', control(wanted)],
      ['changelog', changelog(wanted)],
    ] as const) {
      writeFileSync(join(root, tree, 'debian', path), text);
    }
    writeFileSync(join(root, tree, 'debian/rules'), rules(wanted), { mode: 0o755 });
    execFileSync('dpkg-buildpackage', ['-d', '-us', '-uc', ...(wanted.flags ?? [])], {
      cwd: join(root, tree),
      env: { ...cleanEnvironment(), SOURCE_DATE_EPOCH: EPOCH },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const files = readdirSync(root).filter((file) => file !== tree);
    return new Map(files.sort().map((file) => [file, readFileSync(join(root, file))]));
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** The one file of an extension. */
export function fileOf(files: Built, extension: string): Buffer {
  const name = [...files.keys()].find((one) => one.endsWith(extension));
  const bytes = name === undefined ? undefined : files.get(name);
  if (!bytes) throw new Error(`nothing ends in ${extension} among ${[...files.keys()].join(' ')}`);
  return bytes;
}

/** The files that a paper names, and the paper. */
export function filesOf(files: Built, paper: Buffer): Buffer[] {
  const text = paper.toString('latin1');
  return [paper, ...[...files].filter(([name]) => text.includes(` ${name}\n`)).map(([, b]) => b)];
}
