/**
 * Every key a configuration may hold: how it is written, its default, what it is for. Source of
 * truth for defaults, for the documentation and for `aptkeep config show`. Floor 1.
 */
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { isAbsolute } from 'node:path';
import type { LogLevel } from './log.ts';
import {
  address,
  boolean,
  choice,
  count,
  countOr,
  duration,
  durationFrom,
  type Notation,
  optionalAddress,
  optionalDuration,
  size,
  text,
} from './notation.ts';
import { Secret } from './secret.ts';

interface Setting<Value> extends Notation<Value> {
  fallback: string;
  purpose: string;
  /** Comes from the environment alone, and is never shown. */
  secret?: boolean;
}

const MAX_WORKERS = 64;
const optionalPath: Notation<string | null> = {
  allowed: 'the path of a file, from the data directory',
  parse: (value) => (value === '' ? null : /^[^\p{C}]{1,4096}$/u.test(value) ? value : undefined),
};

/** An address to fetch from: no password in it, which would end up in logs. */
function isListUrl(item: string): boolean {
  const url = URL.parse(item);
  return (
    url !== null &&
    ['http:', 'https:', 'file:'].includes(url.protocol) &&
    url.username + url.password + url.hash === ''
  );
}

const listSources: Notation<string[]> = {
  allowed: 'paths of files and http, https or file URLs without a password, separated by commas',
  parse: (value) => {
    const items = value
      .split(',')
      .map((item) => item.trim())
      .filter(Boolean);
    const fits = (item: string): boolean =>
      /^[a-z][a-z0-9+.-]*:\/\//i.test(item)
        ? isListUrl(item)
        : optionalPath.parse(item) !== undefined;
    return items.every(fits) ? items : undefined;
  },
};

/** Read where roles are known: authority/role-rules.ts. */
const roleRules: Notation<string> = {
  allowed: 'lines like "host: O=Example, CN=*.web.example"',
  separator: '\n',
  parse: (value) => (value.length <= 65_536 ? value : undefined),
};

/** A DNS name of letters, digits and hyphens (RFC 1123 section 2.1) or an IP address. */
export function isHostName(name: string): boolean {
  const label = '[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
  return (
    isIP(name) !== 0 || (name.length <= 253 && new RegExp(`^${label}(\\.${label})*$`).test(name))
  );
}

const hostNames: Notation<string[]> = {
  allowed: 'host names or IP addresses, separated by commas',
  parse: (value) => {
    const names = value
      .split(',')
      .map((name) => name.trim())
      .filter(Boolean);
    return names.every(isHostName) ? names : undefined;
  },
};

const path: Notation<string | null> = {
  allowed: 'the absolute path of a file',
  parse: (value) =>
    value === '' ? null : isAbsolute(value) && !/\p{Cc}/u.test(value) ? value : undefined,
};

const optionalGroup: Notation<string | null> = {
  allowed: 'the name or number of a group',
  parse: (value) => (value === '' ? null : /^[\w][\w.$-]{0,31}$/.test(value) ? value : undefined),
};

const command: Notation<string | null> = {
  allowed: 'a shell command of one line',
  parse: (value) =>
    value.trim() === '' ? null : /^[^\p{Cc}]{1,4096}$/u.test(value) ? value : undefined,
};

/** At most what OpenSSL takes. Empty is the same as not given; where it was given, that is refused. */
const passphrase: Notation<Secret | null> = {
  allowed: 'one line of 1 to 1023 bytes',
  parse: (value) => {
    const [line = ''] = value.split(/\r?\n/, 1);
    if (value === '') return null;
    return line !== '' && Buffer.byteLength(line) < 1024 && !/[\0\ufffd]/.test(line)
      ? new Secret(line)
      : undefined;
  },
};

/** The passphrase in the first line of a text; undefined where there is none. */
export const parsePassphrase = (value: string): Secret | undefined =>
  passphrase.parse(value) ?? undefined;

const setting = <Value>(
  notation: Notation<Value>,
  fallback: string,
  purpose: string,
): Setting<Value> => ({
  ...notation,
  fallback,
  purpose,
});

/** Every key a configuration file may hold. */
export const SETTINGS = {
  name: setting(
    text,
    'aptkeep',
    'the organisation: Origin and Label of suite "stable", O of the CAs; read by init',
  ),
  listen: setting(address, '0.0.0.0:8443', 'where the mutual-TLS port listens'),
  hostname: setting(hostNames, '', "more names and IP addresses of the server's certificate"),
  'crl.lifetime': setting(duration, '24h', 'from the issue of a revocation list to its nextUpdate'),
  'crl.refresh': setting(duration, '1h', 'how often a new revocation list is issued'),
  'clientCa.certificates': setting(
    optionalPath,
    '',
    "a site's own authorities, roots and intermediates, in PEM: client certificates come from them",
  ),
  'clientCa.crl': setting(listSources, '', 'where their revocation lists are read, one of each'),
  'clientCa.crlCa': setting(
    optionalPath,
    '',
    'the CA of the https servers that lists are fetched from, where it is no public one',
  ),
  'clientCa.refresh': setting(duration, '15m', 'how often those lists are read again'),
  'clientCa.roles': setting(roleRules, '', 'who the bearers of such certificates are: rules'),
  'server.certificate': setting(
    optionalPath,
    '',
    "an existing certificate for the server, its chain after it, instead of one of aptkeep's own",
  ),
  'server.key': setting(optionalPath, '', 'its private key'),
  'server.ca': setting(optionalPath, '', 'the CA of it that hosts and clients pin'),
  'tls.strictHandshake': setting(
    boolean,
    'false',
    'hang up on revoked and expired certificates in silence instead of answering 403',
  ),
  'upload.maxSize': setting(size, '4GiB', 'the largest file an upload may hold'),
  'upload.idleTimeout': setting(duration, '60s', 'how long an upload may stand still'),
  'upload.waitFor': setting(
    duration,
    '6h',
    'how long a file that came alone waits for the .changes or .dsc that names it',
  ),
  'suite.validFor': setting(
    duration,
    '7d',
    'from Date to Valid-Until of suites that set nothing else',
  ),
  'sweep.every': setting(
    optionalDuration,
    '24h',
    'how often what nothing needs any more is freed by itself',
  ),
  'publication.keep': setting(
    count(100_000, 3),
    '3',
    'superseded publications of a suite that are kept whole, however old',
  ),
  'publication.keepFor': setting(
    durationFrom('7d'),
    '7d',
    'how long a publication is kept whole after it was superseded',
  ),
  'snapshot.keepFor': setting(
    durationFrom('7d'),
    '365d',
    'the same in suites whose past is served by time',
  ),
  workers: setting(
    countOr(availableParallelism, MAX_WORKERS),
    'auto',
    'processes that serve the mutual-TLS port; auto is one for each processor',
  ),
  'health.listen': setting(
    optionalAddress,
    '127.0.0.1:9464',
    'where /healthz, /readyz and /metrics are served in the clear',
  ),
  'proxy.trust': setting(
    boolean,
    'false',
    'take requests from nginx as `aptkeep config nginx` sets it up (serve --trust-proxy)',
  ),
  'proxy.listen': setting(address, '0.0.0.0:443', 'where that nginx listens, for hosts to be told'),
  'proxy.socket': setting(
    optionalPath,
    '',
    'the socket on which nginx hands requests over (default: proxy/aptkeep.sock)',
  ),
  'proxy.group': setting(
    optionalGroup,
    'www-data',
    "nginx's group, which that socket is open to; empty for its owner alone",
  ),
  'proxy.sendFiles': setting(boolean, 'true', 'let nginx send packages by itself'),
  'keys.passphrase': {
    ...setting(passphrase, '', 'the passphrase of the keys in certs/, from the environment alone'),
    secret: true,
  },
  'keys.passphraseFile': setting(
    path,
    '',
    'a file whose first line is the passphrase of the keys in certs/; mode 0600 or 0400',
  ),
  'signer.clientCa': setting(
    command,
    '',
    "signs what it is given on standard input with the client CA's key, which is then not in certs/",
  ),
  'signer.clientCaPublicKey': setting(
    path,
    '',
    'with signer.clientCa: the public key, PEM; read by init',
  ),
  'signer.serverCa': setting(command, '', "the same for the server CA's key"),
  'signer.serverCaPublicKey': setting(
    path,
    '',
    'with signer.serverCa: the public key, PEM; read by init',
  ),
  'signer.openpgp': setting(
    command,
    '',
    'signs a Release: called with --clearsign or --detach-sign, as gpg is',
  ),
  'signer.openpgpKeyring': setting(
    path,
    '',
    'with signer.openpgp: the public keys that it signs with',
  ),
  'log.level': setting(
    choice<LogLevel>('debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'what is logged',
  ),
} as const;

export type SettingKey = keyof typeof SETTINGS;
export type ValueOf<Key extends SettingKey> =
  | NonNullable<ReturnType<(typeof SETTINGS)[Key]['parse']>>
  | (null extends ReturnType<(typeof SETTINGS)[Key]['parse']> ? null : never);
