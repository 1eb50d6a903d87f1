/**
 * A kit: one POSIX shell script that makes a host of a bare machine with curl and openssl. It holds
 * the enrolment certificate with its key, and what listAptFiles() lists; the host's own key is made
 * where it stays. What fails is undone there. Source: kit.sh, the part that is the same for all.
 * Floor 4.
 */
import { readFileSync } from 'node:fs';
import type { AptFile, AptSource } from './apt-files.ts';
import { quoteShell } from './apt-script.ts';
import { CLIENT_PACKAGE } from './client-package.ts';

/** The enrolment certificate and its key, PEM; times in milliseconds since the epoch. */
export interface KitSecrets {
  certificate: string;
  key: string;
  notBefore: number;
  notAfter: number;
}

const readBody = (): string => readFileSync(new URL('kit.sh', import.meta.url), 'utf8');

const iso = (time: number): string => new Date(time).toISOString().replace('.000Z', 'Z');

function renderPlace(file: AptFile): string {
  const words = [file.path, file.mode, file.owner ?? 'root'].map(quoteShell).join(' ');
  return `  place ${words} <<'END'\n${(file.content ?? '').replace(/\n$/, '')}\nEND`;
}

/** A file of the kit's own folder, gone when it ends. */
const renderSecret = (name: string, content: string): string =>
  `  cat >"$work/${name}" <<'END' || fail "cannot write in $work"\n${content.replace(/\n$/, '')}\nEND`;

/**
 * @param files those of the host, where the certificate and the key have no content yet.
 */
export function renderKit(
  source: Pick<AptSource, 'host' | 'url' | 'ca'>,
  files: readonly AptFile[],
  secrets: KitSecrets,
): string {
  const find = (end: string): string => files.find(({ path }) => path.endsWith(end))?.path ?? '';
  const until = iso(secrets.notAfter);
  const values: [string, string][] = [
    ['name', source.host],
    ['url', source.url],
    ['until', until],
    ['not_before', String(Math.floor(secrets.notBefore / 1000))],
    ['not_after', String(Math.floor(secrets.notAfter / 1000))],
    ['host_key', find('/host.key')],
    ['host_crt', find('/host.crt')],
    ['sources', find('.sources')],
    ['package', CLIENT_PACKAGE],
  ];
  return [
    '#!/bin/sh',
    `# Enrols ${source.host} at ${source.url}. Run it there as root: sh kit.sh`,
    `# Good once, until ${until}. It holds a private key: keep it to yourself, and delete it.`,
    'set -u',
    ...values.map(([key, value]) => `${key}=${quoteShell(value)}`),
    '',
    'write_secrets() {',
    renderSecret('ca.crt', source.ca),
    renderSecret('enrolment.crt', secrets.certificate),
    renderSecret('enrolment.key', secrets.key),
    '}',
    '',
    'write_files() {',
    ...files.filter((file) => file.content !== null).map(renderPlace),
    '}',
    '',
    readBody(),
  ].join('\n');
}
