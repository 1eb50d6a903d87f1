/**
 * Every certificate and revocation list that a test made the program issue, verified by openssl and
 * GnuTLS when the test file ends, from what its data directories hold then. Dates are not judged:
 * many tests move the clock. Source: openssl-verify(1), openssl-crl(1), certtool(1).
 */
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { CertificateRow } from '../../src/catalog/certificates.ts';
import type { CrlRow } from '../../src/catalog/crls.ts';
import { readSetting } from '../../src/catalog/settings.ts';
import type { SqlExecutor } from '../../src/catalog/sql.ts';
import { openSqlite } from '../../src/catalog/sqlite.ts';

/** Who stands as the issuer of a row that a test wrote itself, for a certificate that is not ours. */
export const FORGER = 'forger';

/** How far below a test's folder data directories lie. */
const DEPTH = 3;
/** Of one authority in one directory, the newest; openssl takes them all in one call. */
const MAX_CERTIFICATES = 2000;
/** GnuTLS takes one a call: of one authority so many, spread over them. All are read by it. */
const MAX_VERIFIED_BY_GNUTLS = 12;

/** GnuTLS takes time by the square of the entries: openssl alone verifies a longer list. */
const MAX_LIST_BYTES_FOR_GNUTLS = 100_000;

/** An authority with all that is said to be of it. */
export interface Issued {
  /** PEM, as everything here. */
  authority: string;
  clients: readonly string[];
  /** Verified without the list. */
  revoked?: readonly string[];
  servers?: readonly string[];
  /** The newest first: by that one `clients` are not revoked. */
  lists?: readonly string[];
}

/** What was verified under its authority already: many directories are copies of one. */
const seen = new Set<string>();

interface Said {
  status: number;
  output: string;
}

function ask(program: string, words: readonly string[], cwd: string): Promise<Said> {
  const env = { PATH: process.env.PATH, LC_ALL: 'C.UTF-8' };
  return new Promise((resolve) => {
    execFile(program, words, { cwd, env, maxBuffer: 2 ** 28 }, (error, stdout, stderr) => {
      const status = typeof error?.code === 'number' ? error.code : error ? -1 : 0;
      resolve({ status, output: `${stdout}${stderr}${status < 0 ? error?.message : ''}` });
    });
  });
}

const complain = (what: string, { output }: Said): never => {
  throw new Error(`${what}:\n${output.slice(-4000)}`);
};

/** GnuTLS judges dates whatever it is told; with no other complaint it has found nothing. */
const DATES =
  /The certificate chain uses (expired|not yet valid) certificate\.|The revocation or OCSP data are (old and have been superseded|issued with a future date)\./g;

function checkGnutls(what: string, said: Said): void {
  const verdict = /^.*\boutput: (.*)$/im.exec(said.output.split('\n').reverse().join('\n'))?.[1];
  const left = verdict?.replace(DATES, '').replaceAll(/\s+/g, ' ').trim() ?? 'silence';
  const isRight = /^Verified\b/.test(left);
  const isDated = verdict !== left && left === 'Not verified. The certificate is NOT trusted.';
  if (!isRight && !isDated) complain(what, said);
}

/** The kinds of leaf, and how openssl is asked about each. */
const PURPOSES = {
  clients: ['-purpose', 'sslclient'],
  revoked: ['-purpose', 'sslclient'],
  servers: ['-purpose', 'sslserver'],
} as const;

async function verifyLeaves(
  folder: string,
  kind: keyof typeof PURPOSES,
  pems: readonly string[],
  hasList: boolean,
): Promise<void> {
  if (pems.length === 0) return;
  const files = pems.map((_, index) => `${kind}-${index}.crt`);
  await Promise.all(files.map((file, index) => writeFile(join(folder, file), pems[index] ?? '')));
  const list = hasList && kind === 'clients' ? ['-crl_check', '-CRLfile', 'list-0.pem'] : [];
  const strict = ['verify', '-x509_strict', '-no_check_time', '-CAfile', 'ca.crt'];
  const said = await ask('openssl', [...strict, ...PURPOSES[kind], ...list, ...files], folder);
  const good = said.output.match(/^\S+: OK$/gm)?.length ?? 0;
  if (said.status !== 0 || good !== files.length) complain(`openssl verify, ${kind}`, said);
  await writeFile(join(folder, `${kind}.crt`), pems.join(''));
  const read = await ask('certtool', ['--certificate-info', '--infile', `${kind}.crt`], folder);
  const count = read.output.match(/^X\.509 Certificate Information:$/gm)?.length ?? 0;
  if (read.status !== 0 || count !== files.length) complain(`certtool reads ${kind}`, read);
  const step = Math.ceil(files.length / MAX_VERIFIED_BY_GNUTLS);
  for (const file of files.filter((_, index) => index % step === 0)) {
    const words = ['--verify', '--load-ca-certificate', 'ca.crt', '--infile', file];
    checkGnutls(`certtool --verify, ${kind}`, await ask('certtool', words, folder));
  }
}

async function verifyList(folder: string, file: string): Promise<void> {
  const byOpenssl = ['crl', '-in', file, '-noout', '-verify', '-CAfile', 'ca.crt'];
  const said = await ask('openssl', byOpenssl, folder);
  // Its exit status is 0 all the same.
  if (said.output.trim() !== 'verify OK') complain('openssl crl -verify', said);
  if ((await stat(join(folder, file))).size > MAX_LIST_BYTES_FOR_GNUTLS) return;
  const byGnutls = ['--verify-crl', '--load-ca-certificate', 'ca.crt', '--infile', file];
  checkGnutls('certtool --verify-crl', await ask('certtool', byGnutls, folder));
}

async function verifyAuthority(folder: string): Promise<void> {
  const strict = ['verify', '-x509_strict', '-check_ss_sig', '-no_check_time', '-CAfile', 'ca.crt'];
  const said = await ask('openssl', [...strict, 'ca.crt'], folder);
  if (said.status !== 0) complain('openssl verify, an authority', said);
  const words = ['--verify', '--load-ca-certificate', 'ca.crt', '--infile', 'ca.crt'];
  checkGnutls('certtool --verify, an authority', await ask('certtool', words, folder));
}

/** @throws Error with what the tool says of the first that it does not accept. */
export async function verifyIssued(issued: Issued): Promise<void> {
  const { authority, clients, revoked = [], servers = [], lists = [] } = issued;
  const isNewAs = (kind: string) => (pem: string) => {
    const key = kind + authority + pem;
    return !seen.has(key) && seen.add(key) !== undefined;
  };
  const folder = await mkdtemp(join(tmpdir(), 'aptkeep-verified-'));
  try {
    await writeFile(join(folder, 'ca.crt'), authority);
    if (isNewAs('authority')(authority)) await verifyAuthority(folder);
    for (const [index, pem] of lists.entries()) {
      const file = `list-${index}.pem`;
      await writeFile(join(folder, file), pem);
      if (isNewAs('list')(pem)) await verifyList(folder, file);
    }
    await verifyLeaves(folder, 'clients', clients.filter(isNewAs('clients')), lists.length > 0);
    await verifyLeaves(folder, 'revoked', revoked.filter(isNewAs('revoked')), false);
    await verifyLeaves(folder, 'servers', servers.filter(isNewAs('servers')), false);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const fingerprintOf = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();

const readPem = (data: string, file: string): Promise<string | undefined> =>
  readFile(join(data, 'certs', file), 'utf8').catch(() => undefined);

/** Ours of the client CAs that a catalog knows; one that was replaced is gone, and refused whole. */
async function readClients(data: string, sql: SqlExecutor): Promise<Issued[]> {
  const files = ['client-ca.crt', 'client-ca.previous.crt'];
  const pems = await Promise.all(files.map((file) => readPem(data, file)));
  const authorities = new Map(pems.flatMap((pem) => (pem ? [[fingerprintOf(pem), pem]] : [])));
  const orphan = await sql.get<CertificateRow>(
    `SELECT * FROM certificate WHERE revoked_at IS NULL AND issued_by <> $1
     AND authority NOT IN (SELECT value FROM json_each($2))`,
    FORGER,
    JSON.stringify(['', ...authorities.keys()]),
  );
  if (orphan) throw new Error(`${orphan.serial} of ${orphan.name} is valid and of no authority`);
  const found: Issued[] = [];
  for (const [fingerprint, authority] of authorities) {
    const rows = await sql.all<Pick<CertificateRow, 'pem' | 'revoked_at'>>(
      `SELECT pem, revoked_at FROM certificate WHERE authority IN ($1, '') AND issued_by <> $2 AND pem <> ''
       ORDER BY issued_at DESC LIMIT ${MAX_CERTIFICATES}`,
      fingerprint,
      FORGER,
    );
    const lists = await sql.all<Pick<CrlRow, 'pem'>>(
      "SELECT pem FROM crl WHERE authority IN ($1, '') ORDER BY number DESC",
      fingerprint,
    );
    found.push({
      authority,
      clients: rows.filter((row) => row.revoked_at === null).map((row) => row.pem),
      revoked: rows.filter((row) => row.revoked_at !== null).map((row) => row.pem),
      lists: lists.map((row) => row.pem),
    });
  }
  return found;
}

async function readServers(data: string): Promise<Issued[]> {
  const [authority, next, leaf] = await Promise.all(
    ['server-ca.crt', 'server-ca.next.crt', 'server.crt'].map((file) => readPem(data, file)),
  );
  const found: Issued[] = [];
  if (authority) found.push({ authority, clients: [], servers: leaf ? [leaf] : [] });
  if (next) found.push({ authority: next, clients: [] });
  return found;
}

/** Everything of one data directory, in use or not; one that was never finished has nothing. */
export async function verifyData(data: string): Promise<void> {
  const catalog = await openSqlite(join(data, 'catalog.sqlite'));
  try {
    // Without its tables where it was killed at once.
    const state = await readSetting(catalog, 'initialised').catch(() => undefined);
    if (state !== 'done') return;
    const found = [...(await readClients(data, catalog)), ...(await readServers(data))];
    for (const issued of found) await verifyIssued(issued);
  } catch (error) {
    throw new Error(`${data}: ${(error as Error).message}`);
  } finally {
    await catalog.close();
  }
}

async function findCatalogs(folder: string, depth = DEPTH): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const below = entries.filter((entry) => entry.isDirectory() && depth > 0);
  const deeper = below.map((entry) => findCatalogs(join(folder, entry.name), depth - 1));
  const here = entries.filter((entry) => entry.isFile() && entry.name === 'catalog.sqlite');
  return [here.map(() => join(folder, 'catalog.sqlite')), ...(await Promise.all(deeper))].flat();
}

/** Of every data directory below a folder. */
export async function verifyBelow(folder: string): Promise<void> {
  for (const catalog of await findCatalogs(folder)) await verifyData(dirname(catalog));
}
