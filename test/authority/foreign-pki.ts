/**
 * A PKI that is not ours, kept as an administrator keeps one: openssl-ca(1) with a database, an
 * authority a folder, roots and intermediates, lists by `openssl ca -gencrl`.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { succeed } from '../e2e/command.ts';
import type { Client } from '../e2e/site.ts';

/** Flags of openssl genpkey. */
export const KEYS = {
  'P-256': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'P-384': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'RSA-1024': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
  'RSA-2048': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'RSA-4096': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096'],
  Ed25519: ['-algorithm', 'ED25519'],
} as const;

export type KeyName = keyof typeof KEYS;

const DAY_MS = 86_400_000;

/** The time so many days from now, as openssl-ca takes it. */
const dateOf = (days: number): string =>
  `${new Date(Date.now() + days * DAY_MS).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;

const CONFIGURATION = `
[ca]
default_ca = authority
[authority]
database = index.txt
new_certs_dir = issued
serial = serial.txt
certificate = ca.crt
private_key = ca.key
default_md = default
policy = anything
unique_subject = no
CRLNUMBER
crl_extensions = CRL_EXTENSIONS
[crl]
authorityKeyIdentifier = keyid:always
[delta]
2.5.29.27 = critical,ASN1:INTEGER:1
[critical]
1.2.3.4.5 = critical,ASN1:NULL
[anything]
[req]
distinguished_name = nothing
[nothing]
`;

/** The extensions of an honest client certificate; alternative names come after. */
export const CLIENT = [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=clientAuth',
];
export const SERVER = [
  'basicConstraints=critical,CA:FALSE',
  'keyUsage=critical,digitalSignature',
  'extendedKeyUsage=serverAuth',
];

export interface LeafOptions {
  /** As openssl takes it: /O=Lund/CN=web */
  subject: string;
  extensions?: string[];
  /** Like DNS:web.example, or a section of lines below. */
  names?: string;
  key?: KeyName;
  /** Days from now; both may be negative. */
  from?: number;
  to?: number;
  /** Hexadecimal, of an even length. */
  serial?: string;
}

export interface ListOptions {
  /** Days from now. */
  from?: number;
  to?: number;
  extensions?: 'crl' | 'delta' | 'critical';
  /** False: as older openssl configurations have it, version 1 with neither number nor extensions. */
  numbered?: boolean;
}

export interface ForeignAuthority {
  folder: string;
  certificate: string;
  key: string;
  /** Path of its newest list, PEM. */
  list: string;
  issue(options: LeafOptions): Promise<Client>;
  /** Of a certificate's path; in force with the next list. */
  revoke(certificate: string): Promise<void>;
  /** Makes the next list. */
  publish(options?: ListOptions): Promise<string>;
  /** Another authority below this one. */
  createBelow(name: string, options?: AuthorityOptions): Promise<ForeignAuthority>;
}

export interface AuthorityOptions {
  key?: KeyName;
  subject?: string;
  /** More lines of extensions. */
  extensions?: string[];
  from?: number;
  to?: number;
}

const AUTHORITY = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];

const openssl = (cwd: string, ...args: string[]): Promise<string> =>
  succeed('openssl', args, { cwd });

const writeConfiguration = (folder: string, { numbered = true, extensions = 'crl' }: ListOptions) =>
  writeFile(
    join(folder, 'ca.cnf'),
    CONFIGURATION.replace('CRLNUMBER', numbered ? 'crlnumber = crlnumber.txt' : '').replace(
      /^crl_extensions = .*$/m,
      numbered ? `crl_extensions = ${extensions}` : '',
    ),
  );

async function prepareFolder(base: string, name: string, key: KeyName): Promise<string> {
  await mkdir(base, { recursive: true });
  const folder = await mkdtemp(join(base, `${name.replaceAll(/\W/g, '-')}-`));
  await mkdir(join(folder, 'issued'));
  await writeConfiguration(folder, {});
  await writeFile(join(folder, 'index.txt'), '');
  await writeFile(join(folder, 'serial.txt'), '1001\n');
  await writeFile(join(folder, 'crlnumber.txt'), '01\n');
  await openssl(folder, 'genpkey', ...KEYS[key], '-out', 'ca.key');
  return folder;
}

/** A root of its own. */
export async function createRoot(
  base: string,
  name: string,
  options: AuthorityOptions = {},
): Promise<ForeignAuthority> {
  const { key = 'P-256', subject = `/O=Lund University/CN=${name}` } = options;
  const folder = await prepareFolder(base, name, key);
  const extensions = [...AUTHORITY, 'subjectKeyIdentifier=hash', ...(options.extensions ?? [])];
  await writeFile(join(folder, 'own.ext'), `${extensions.join('\n')}\n`);
  await openssl(
    folder,
    ...['req', '-new', '-config', 'ca.cnf', '-utf8'],
    ...['-key', 'ca.key', '-subj', subject, '-out', 'ca.csr'],
  );
  const dates = ['-startdate', dateOf(options.from ?? -1), '-enddate', dateOf(options.to ?? 3650)];
  await openssl(
    folder,
    ...[
      'ca',
      '-batch',
      '-notext',
      '-preserveDN',
      '-selfsign',
      '-config',
      'ca.cnf',
      '-in',
      'ca.csr',
    ],
    ...['-extfile', 'own.ext', ...dates, '-out', 'ca.crt'],
  );
  return describeAuthority(base, folder);
}

/** What openssl does in a folder of an authority, one after another: it keeps its books in files. */
const turns = new Map<string, Promise<unknown>>();

/** Signs a request as the authority in a folder would. */
function sign(
  folder: string,
  request: string,
  options: LeafOptions & { extensions: string[] },
): Promise<string> {
  const before = turns.get(folder) ?? Promise.resolve();
  const turn = before.then(() => signNow(folder, request, options));
  turns.set(
    folder,
    turn.catch(() => undefined),
  );
  return turn;
}

async function signNow(
  folder: string,
  request: string,
  options: LeafOptions & { extensions: string[] },
): Promise<string> {
  const { extensions, names, from = -1, to = 30, serial } = options;
  const mark = randomBytes(4).toString('hex');
  const lines = [...extensions, 'subjectKeyIdentifier=hash', 'authorityKeyIdentifier=keyid:always'];
  if (names) lines.push(`subjectAltName=${names}`);
  await writeFile(join(folder, `${mark}.ext`), `${lines.join('\n')}\n`);
  if (serial) await writeFile(join(folder, 'serial.txt'), `${serial}\n`);
  await openssl(
    folder,
    ...['ca', '-batch', '-notext', '-preserveDN', '-config', 'ca.cnf', '-in', request],
    ...['-extfile', `${mark}.ext`, '-startdate', dateOf(from), '-enddate', dateOf(to)],
    ...['-out', `${mark}.crt`],
  );
  return join(folder, `${mark}.crt`);
}

async function requestKey(folder: string, subject: string, key: KeyName): Promise<void> {
  await openssl(folder, 'genpkey', ...KEYS[key], '-out', 'key.pem');
  const config = '[req]\ndistinguished_name = nothing\n[nothing]\n';
  await writeFile(join(folder, 'request.cnf'), config);
  await openssl(
    folder,
    ...['req', '-new', '-config', 'request.cnf', '-utf8', '-key', 'key.pem'],
    ...['-subj', subject, '-out', 'csr.pem'],
  );
}

function describeAuthority(base: string, folder: string): ForeignAuthority {
  const list = join(folder, 'crl.pem');
  return {
    folder,
    certificate: join(folder, 'ca.crt'),
    key: join(folder, 'ca.key'),
    list,
    async issue(options) {
      const own = await mkdtemp(join(base, 'client-'));
      await requestKey(own, options.subject, options.key ?? 'P-256');
      const extensions = options.extensions ?? CLIENT;
      const made = await sign(folder, join(own, 'csr.pem'), { ...options, extensions });
      const certificate = join(own, 'client.crt');
      await writeFile(certificate, await readFile(made));
      return { name: 'client', folder: own, certificate, key: join(own, 'key.pem'), ca: '' };
    },
    async revoke(certificate) {
      await openssl(folder, 'ca', '-config', 'ca.cnf', '-revoke', certificate);
    },
    async publish(options = {}) {
      const { from = -0.01, to = 7 } = options;
      await writeConfiguration(folder, options);
      await openssl(
        folder,
        ...['ca', '-config', 'ca.cnf', '-gencrl', '-out', 'crl.pem'],
        ...['-crl_lastupdate', dateOf(from), '-crl_nextupdate', dateOf(to)],
      );
      return list;
    },
    async createBelow(name, options = {}) {
      const { key = 'P-256', subject = `/O=Lund University/CN=${name}` } = options;
      const below = await prepareFolder(base, name, key);
      await openssl(
        below,
        ...['req', '-new', '-config', 'ca.cnf', '-utf8', '-key', 'ca.key'],
        ...['-subj', subject, '-out', 'ca.csr'],
      );
      const extensions = [...AUTHORITY, ...(options.extensions ?? [])];
      const wanted = { subject, to: options.to ?? 3650, from: options.from ?? -1, extensions };
      const made = await sign(folder, join(below, 'ca.csr'), wanted);
      await writeFile(join(below, 'ca.crt'), await readFile(made));
      return describeAuthority(base, below);
    },
  };
}

/** One file after the other, in a new one. */
export async function concatenate(target: string, ...files: string[]): Promise<string> {
  const parts = await Promise.all(files.map((file) => readFile(file)));
  await writeFile(target, Buffer.concat(parts));
  return target;
}

/** How openssl spells the serial of a certificate, as the catalog has it. */
export async function readSerial(certificate: string): Promise<string> {
  const printed = await succeed('openssl', ['x509', '-noout', '-serial', '-in', certificate]);
  return (printed.trim().split('=')[1] ?? '').toLowerCase().replace(/^0+(?=.)/, '');
}
