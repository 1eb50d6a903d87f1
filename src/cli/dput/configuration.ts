/**
 * What dput and dput-ng need to know to upload through us, as files that only their owner may read:
 * the address in them is a key. Source: dput.cf(5), dput(5) of dput-ng. Floor 9.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RefusalError, systemCode } from '../../errors.ts';
import { replaceFile } from '../../storage/replace-file.ts';

/** The name by which both programs know the first suite; the others are `aptkeep-SUITE`. */
const HOST = 'aptkeep';

export interface DputTarget {
  port: number;
  token: string;
  suites: readonly string[];
}

/** Name of the host -> its suite. */
function listHosts(suites: readonly string[]): [string, string][] {
  const named = suites.map((suite): [string, string] => [`${HOST}-${suite}`, suite]);
  const [first] = suites;
  return first === undefined ? [] : [[HOST, first], ...named];
}

/** The server judges signatures, suites and names; the programs judge hashes. */
export function renderDput({ port, token, suites }: DputTarget): string {
  const sections = listHosts(suites).map(([host, suite]) =>
    [
      `[${host}]`,
      'method = http',
      `fqdn = 127.0.0.1:${port}`,
      `incoming = /${token}/${suite}`,
      'login = *',
      'allow_unsigned_uploads = 1',
      'allow_dcut = 0',
      'run_dinstall = 0',
      'check_version = 0',
      '',
    ].join('\n'),
  );
  return `# Made by \`aptkeep dput-proxy\`; good while that runs.\n\n${sections.join('\n')}`;
}

export function renderDputNg({ port, token }: DputTarget, suite: string): string {
  const profile = {
    method: 'http',
    fqdn: `127.0.0.1:${port}`,
    incoming: `/${token}/${suite}/`,
    login: '*',
    allow_unsigned_uploads: true,
    allow_dcut: false,
    run_lintian: false,
    hash: 'sha256',
    hooks: ['checksum'],
  };
  return `${JSON.stringify(profile, null, 2)}\n`;
}

async function writeSecret(path: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await replaceFile(path, text, 0o600);
  } catch (error) {
    throw new RefusalError('FILE_UNREADABLE', `--out: ${path}: ${systemCode(error)}`);
  }
}

/** Writes `dput.cf` and, for dput-ng, `profiles/HOST.json`; resolves with what was written. */
export async function writeConfigurations(folder: string, target: DputTarget): Promise<string[]> {
  const dput = join(folder, 'dput.cf');
  await writeSecret(dput, renderDput(target));
  const profiles: string[] = [];
  for (const [host, suite] of listHosts(target.suites)) {
    const path = join(folder, 'profiles', `${host}.json`);
    await writeSecret(path, renderDputNg(target, suite));
    profiles.push(path);
  }
  return [dput, ...profiles];
}

/** What is written is of no use when we have ended. */
export async function removeConfigurations(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true });
}
