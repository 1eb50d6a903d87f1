/**
 * What the mutations start from: certificates, requests and revocation lists that are right, of
 * every kind of key, made anew by openssl and by us.
 */
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, issueCertificate } from '../../src/pki/certificate.ts';
import { issueCrl, REVOCATION_REASONS } from '../../src/pki/crl.ts';
import { createRequest } from '../../src/pki/csr.ts';
import { encodePrivateKey, generatePrivateKey, type KeyKind } from '../../src/pki/key.ts';
import { createSerial } from '../../src/pki/serial.ts';
import { createSigner } from '../../src/pki/signer.ts';

export type Kind = 'certificate' | 'request' | 'list';

/** `key` is the PEM of what signed it: an authority's, or of a request its own. */
export interface Member {
  kind: Kind;
  der: Uint8Array;
  key: string;
  /** Where its issuer stands among the authorities; -1 for a request. */
  authority: number;
}

export interface Corpus {
  /** PEM. */
  authorities: string[];
  members: Member[];
}

const KINDS: readonly KeyKind[] = ['P-256', 'P-384', 'Ed25519', 'RSA-2048'];
const HOUR_MS = 3_600_000;
const inHours = (count: number): Date =>
  new Date(Math.floor(Date.now() / 1000) * 1000 + count * HOUR_MS);
const newSerial = (): string => createSerial(randomBytes(16));
const toDer = (pem: string): Uint8Array =>
  Buffer.from(/-----\n([^-]*)-----END/.exec(pem)?.[1] ?? '', 'base64');

const LEAF = `basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth,serverAuth,1.3.6.1.4.1.311.20.2.2
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid,issuer
certificatePolicies=1.2.3.4,2.5.29.32.0
crlDistributionPoints=URI:http://localhost/crl
nsComment=ASN1:IA5STRING:comment
subjectAltName=URI:urn:aptkeep:host:web1,DNS:web1.example,DNS:*.example,IP:192.0.2.1,IP:2001:db8::1,email:a@example,otherName:1.2.3;UTF8:x,dirName:dir
[dir]
C=DE
CN=dir
`;

const SETTINGS = `[ca]
default_ca=a
[a]
database=index.txt
default_md=sha384
crlnumber=crlnumber
crl_extensions=ext
[ext]
authorityKeyIdentifier=keyid,issuer
issuerAltName=URI:urn:x
`;

/** Two certificates, a request and a list of openssl's, of and under an authority of ours. */
function makeByOpenssl(folder: string, authority: string, key: KeyObject, at: number): Member[] {
  const openssl = (...words: string[]): void => {
    execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const write = (name: string, text: string): void => writeFileSync(join(folder, name), text);
  const read = (name: string): Uint8Array => readFileSync(join(folder, name));
  write('ca.crt', authority);
  write('ca.key', encodePrivateKey(key));
  write('leaf.cnf', LEAF);
  write('ca.cnf', SETTINGS);
  const line = (serial: string, reason: string): string =>
    `R\t491231235959Z\t260101000000Z${reason}\t${serial}\tunknown\t/CN=${serial}\n`;
  write(
    'index.txt',
    line('00FF', '') +
      line('01', ',keyTime,20260101000000Z') +
      line('0200', ',holdInstruction,holdInstructionReject'),
  );
  write('index.txt.attr', '');
  write('crlnumber', '1000\n');
  const subject = ['-utf8', '-subj', '/C=DE/O=Grün/OU=host+UID=x/CN=wéb1/CN=web1'];
  const asked = ['-addext', 'subjectAltName=DNS:a', '-addext', '1.2.3.4=critical,ASN1:NULL'];
  openssl(
    'req',
    '-new',
    '-key',
    'ca.key',
    ...subject,
    ...asked,
    '-outform',
    'DER',
    '-out',
    'r.der',
  );
  openssl('req', '-inform', 'DER', '-in', 'r.der', '-out', 'r.pem');
  const issue = [
    'x509',
    '-req',
    '-in',
    'r.pem',
    '-CA',
    'ca.crt',
    '-CAkey',
    'ca.key',
    '-days',
    '99999',
  ];
  openssl(...issue, '-extfile', 'leaf.cnf', '-outform', 'DER', '-out', 'c.der');
  openssl(...issue, '-outform', 'DER', '-out', 'v1.der');
  openssl(
    'ca',
    '-config',
    'ca.cnf',
    '-gencrl',
    '-crldays',
    '1',
    '-cert',
    'ca.crt',
    '-keyfile',
    'ca.key',
    '-out',
    'l.pem',
  );
  const secret = encodePrivateKey(key);
  return [
    { kind: 'request', der: read('r.der'), key: secret, authority: -1 },
    { kind: 'certificate', der: read('c.der'), key: secret, authority: at },
    { kind: 'certificate', der: read('v1.der'), key: secret, authority: at },
    {
      kind: 'list',
      der: toDer(readFileSync(join(folder, 'l.pem'), 'utf8')),
      key: secret,
      authority: at,
    },
  ];
}

/** The same of ours. */
async function makeByUs(authority: string, key: KeyObject, at: number): Promise<Member[]> {
  const signer = createSigner(authority, key);
  const secret = encodePrivateKey(key);
  const leaf = {
    publicKey: createPublicKey(key),
    subject: { commonName: 'web1', organizationalUnit: 'host', organization: 'Grün' },
    notBefore: inHours(-1),
    notAfter: inHours(24 * 90),
  };
  const client = { kind: 'client', uri: 'urn:aptkeep:host:web1' } as const;
  const server = { kind: 'server', names: ['web1.example', '192.0.2.1', '2001:db8::1'] } as const;
  const entries = REVOCATION_REASONS.map((reason) => ({
    serial: newSerial(),
    revokedAt: inHours(-1),
    reason,
  }));
  const life = { number: 7, thisUpdate: inHours(-1), nextUpdate: inHours(23) };
  const certify = (profile: Parameters<typeof issueCertificate>[1]['profile']): Promise<string> =>
    issueCertificate(signer, { ...leaf, serial: newSerial(), profile });
  const member = (kind: Kind, pem: string, issuer = at): Member => ({
    ...{ kind, der: toDer(pem), key: secret, authority: issuer },
  });
  return [
    member('certificate', authority),
    member('certificate', await certify(client)),
    member('certificate', await certify({ ...server, names: [...server.names] })),
    member('request', createRequest(key, leaf.subject), -1),
    member('list', await issueCrl(signer, { ...life, entries })),
    member('list', await issueCrl(signer, { ...life, entries: [] })),
  ];
}

export async function makeCorpus(): Promise<Corpus> {
  const folder = mkdtempSync(join(tmpdir(), 'aptkeep-fuzz-'));
  const corpus: Corpus = { authorities: [], members: [] };
  try {
    for (const [at, kind] of KINDS.entries()) {
      const key = generatePrivateKey(kind);
      const validity = { notBefore: inHours(-1), notAfter: inHours(24 * 3650) };
      const subject = { commonName: `client CA ${at}`, organization: 'Example' };
      const authority = createAuthority(key, subject, newSerial(), validity);
      corpus.authorities.push(authority);
      corpus.members.push(...makeByOpenssl(folder, authority, key, at));
      corpus.members.push(...(await makeByUs(authority, key, at)));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return corpus;
}

export const loadKey = (member: Member): KeyObject => createPrivateKey(member.key);
