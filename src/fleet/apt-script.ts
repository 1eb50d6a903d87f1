/**
 * The files of a host as a shell script a person pastes there: everything but the private key,
 * which is copied from beside it and never leaves the places its owner chose. Floor 4.
 */
import type { AptFile } from './apt-files.ts';

/** A word as a POSIX shell reads it back. */
export function quoteShell(word: string): string {
  return /^[A-Za-z0-9_./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/'));

/** Shell lines that write a file whose content is known here. */
export function renderWrite(file: AptFile): string {
  const path = quoteShell(file.path);
  const content = (file.content ?? '').replace(/\n$/, '');
  return [`cat > ${path} <<'END'`, content, 'END', `chmod ${file.mode} ${path}`].join('\n');
}

/** A private apt root needs the folders and options that the real one has by itself. */
function describePrivateRoot(root: string): string[] {
  const folders = [
    'etc/apt/preferences.d',
    'etc/apt/trusted.gpg.d',
    'var/cache/apt/archives/partial',
    'var/lib/apt/lists/partial',
    'var/lib/dpkg',
  ];
  const config = quoteShell(`${root}/apt.conf`);
  return [
    `install -d ${folders.map((folder) => quoteShell(`${root}/${folder}`)).join(' ')}`,
    `touch ${quoteShell(`${root}/var/lib/dpkg/status`)}`,
    `cat > ${config} <<'END'`,
    `Dir "${root}";`,
    `Dir::State::status "${root}/var/lib/dpkg/status";`,
    'APT::Update::Error-Mode "any";',
    'END',
    `cat ${quoteShell(`${root}/etc/apt/apt.conf.d/50aptkeep`)} >> ${config}`,
    `[ "$(id -u)" != 0 ] || chown -R _apt ${quoteShell(`${root}/var/lib/apt/lists/partial`)} ${quoteShell(`${root}/var/cache/apt/archives/partial`)}`,
  ];
}

/** web.key -> web.crt. */
const nameCertificateBeside = (key: string): string => `${key.replace(/\.key$/, '')}.crt`;

/**
 * @param key where the script finds the host's private key; relative to the folder it is run in.
 * @param root '' for the host itself, or a directory that stands in for its root.
 */
export function renderAptScript(
  host: string,
  files: readonly AptFile[],
  key: string,
  root: string,
): string {
  const folders = [...new Set(files.map((file) => folderOf(file.path)))];
  const present = files
    .filter((file) => file.content === null)
    .map((file) => ({ ...file, from: file.owner ? key : nameCertificateBeside(key) }));
  const lines = [
    '#!/bin/sh',
    `# The apt files of ${host}. Run it ${root ? 'here' : `as root on ${host}`}, in the folder that holds ${key}.`,
    'set -eu',
    ...present.map(({ from, owner }) => {
      const what = owner ? 'private key' : 'certificate';
      const words = quoteShell(`aptkeep: ${host}: the ${what} ${from} is not in this folder`);
      return `test -r ${quoteShell(from)} || { echo ${words} >&2; exit 1; }`;
    }),
    `install -d -m 0755 ${folders.map(quoteShell).join(' ')}`,
    ...files.filter((file) => file.content !== null).map(renderWrite),
  ];
  for (const file of present) {
    const path = quoteShell(file.path);
    lines.push(
      `rm -f ${path}`,
      `install -m ${file.mode} -- ${quoteShell(file.from)} ${path}`,
      `[ "$(id -u)" != 0 ] || chown ${file.owner ?? 'root'} ${path}`,
    );
  }
  if (root) lines.push(...describePrivateRoot(root));
  return `${lines.join('\n')}\n`;
}
