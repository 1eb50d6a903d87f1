/** The judge of what tests leave behind is no rubber stamp: each tool's complaint is heard. */
import { createPublicKey, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { issueCertificate, type Profile } from '../../src/pki/certificate.ts';
import { issueCrl, writeCrlPem } from '../../src/pki/crl.ts';
import { generatePrivateKey } from '../../src/pki/key.ts';
import { initialise, issue, openKept } from '../authority/kept.ts';
import { hours, openTestAuthority, randomSerial } from '../pki/tools.ts';
import { createScratch } from './command.ts';
import { verifyBelow, verifyIssued } from './verified.ts';

const scratch = createScratch('verified');
const CLIENT: Profile = { kind: 'client', uri: 'urn:aptkeep:host:web' };
const [ours, other] = [openTestAuthority(), openTestAuthority()];
let client = '';
let server = '';
let list = '';
let old = '';
let early = '';

const request = (profile: Profile, serial = randomSerial()) => ({
  publicKey: createPublicKey(generatePrivateKey()),
  subject: { commonName: 'web' },
  ...{ serial, profile, notBefore: hours(-48), notAfter: hours(24) },
});
const life = { number: 1, thisUpdate: hours(-2), nextUpdate: hours(2) };

beforeAll(async () => {
  const { signer } = ours;
  client = await issueCertificate(signer, request(CLIENT));
  server = await issueCertificate(signer, request({ kind: 'server', names: ['web.example'] }));
  list = await issueCrl(signer, { ...life, entries: [] });
  old = await issueCrl(signer, { ...life, nextUpdate: hours(-1), entries: [] });
  early = await issueCrl(signer, { ...life, thisUpdate: hours(1), entries: [] });
});

/** PEM with one bit of its signature changed. */
function change(pem: string): string {
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  der.writeUInt8(der.readUInt8(der.length - 5) ^ 1, der.length - 5);
  return pem.includes('CRL') ? writeCrlPem(der) : new X509Certificate(der).toString();
}

describe('accepted is', () => {
  it('what is right, whatever the date', async () => {
    const authority = ours.pem;
    const expired = { ...request(CLIENT), notAfter: hours(-1) };
    const future = { ...request(CLIENT), notBefore: hours(1) };
    const clients = [
      client,
      await issueCertificate(ours.signer, expired),
      await issueCertificate(ours.signer, future),
    ];
    await verifyIssued({ authority, clients, servers: [server], lists: [list, old, early] });
  });
});

describe('refused is', () => {
  const cases: [string, () => Promise<Parameters<typeof verifyIssued>[0]>, RegExp][] = [
    [
      'a certificate of another authority of that name',
      async () => ({ authority: other.pem, clients: [client] }),
      /openssl verify, clients/,
    ],
    [
      'a certificate with one bit changed',
      async () => ({ authority: ours.pem, clients: [change(client)] }),
      /openssl verify, clients/,
    ],
    [
      'a server as a client',
      async () => ({ authority: ours.pem, clients: [server, client] }),
      /openssl verify, clients.*purpose/s,
    ],
    [
      'a client as a server',
      async () => ({
        authority: ours.pem,
        clients: [],
        servers: [await issueCertificate(ours.signer, request(CLIENT))],
      }),
      /openssl verify, servers.*purpose/s,
    ],
    [
      'a certificate that counts and stands on the list',
      async () => {
        const serial = randomSerial();
        const entries = [{ serial, revokedAt: hours(-1) }];
        return {
          authority: ours.pem,
          clients: [await issueCertificate(ours.signer, request(CLIENT, serial))],
          lists: [await issueCrl(ours.signer, { ...life, entries })],
        };
      },
      /certificate revoked/,
    ],
    [
      'a list of another authority of that name',
      async () => ({ authority: other.pem, clients: [], lists: [list] }),
      /openssl crl -verify/,
    ],
    [
      'a list with one bit changed',
      async () => ({ authority: ours.pem, clients: [], lists: [change(list)] }),
      /openssl crl -verify/,
    ],
  ];
  it.each(cases)('%s', async (_name, make, why) => {
    await expect(verifyIssued(await make())).rejects.toThrow(why);
  });

  it('a directory in which one certificate is not what it should be', async () => {
    const data = join(scratch, 'below/data');
    await initialise(data);
    const kept = await openKept(data);
    const row = await issue(kept, 'web');
    const { catalog } = kept.authority;
    await catalog.run('UPDATE certificate SET pem = $1', client);
    await expect(verifyBelow(scratch)).rejects.toThrow(/data: openssl verify, clients/);
    await catalog.run('UPDATE certificate SET pem = $1', row.pem);
    await verifyBelow(scratch);
    await catalog.run("UPDATE certificate SET authority = 'nobody'");
    await expect(verifyBelow(scratch)).rejects.toThrow(/is valid and of no authority/);
    await catalog.run('UPDATE certificate SET authority = $1', row.authority);
    await kept.close();
  });
});
