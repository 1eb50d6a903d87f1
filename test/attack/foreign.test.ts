/**
 * A site's own authorities at the door: a root, an intermediate, each with a list of its own, by
 * openssl; both versions of TLS, real sockets. Source: RFC 5280 section 6.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  concatenate,
  createRoot,
  type ForeignAuthority,
  SERVER,
} from '../authority/foreign-pki.ts';
import { createScratch, succeed, waitFor } from '../e2e/command.ts';
import { getRequest, lastRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import type { Client } from '../e2e/site.ts';
import { ask, createClock, readCode, type Site, startSite } from '../http/start.ts';
import { speak } from './speak.ts';

const RELEASE = '/dists/stable/InRelease';
const OK = 'HTTP/1.1 200 OK';
const REVOKED = 'HTTP/1.1 403 Certificate revoked';
const UNKNOWN = 'HTTP/1.1 403 Certificate unknown to this server';
const STALE = 'HTTP/1.1 503 Revocation list out of date';
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const DAY_MS = 86_400_000;

const RULES = [
  'admin: O=Lund University, OU=operators, CN=*',
  'uploader(stable): O=Lund University, OU=builders, CN=*',
  'host: O=Lund University, OU=webservers, CN=*.web.example',
].join('\n');

const scratch = createScratch('foreign');
const subjectOf = (name: string, unit = 'webservers'): string =>
  `/O=Lund University/OU=${unit}/CN=${name}`;
const host = (authority: ForeignAuthority, label: string): Promise<Client> =>
  authority.issue({ subject: subjectOf(`${label}.web.example`) });

interface Pki {
  root: ForeignAuthority;
  devices: ForeignAuthority;
  /** Below the root as well. */
  people: ForeignAuthority;
  /** Not configured. */
  sibling: ForeignAuthority;
}

async function createPki(name: string): Promise<Pki> {
  const base = join(scratch, name);
  const root = await createRoot(base, 'Lund Root');
  const devices = await root.createBelow('Lund Devices');
  const people = await root.createBelow('Lund People', { key: 'RSA-2048' });
  const sibling = await root.createBelow('Lund Printers');
  for (const one of [root, devices, people, sibling]) await one.publish();
  return { root, devices, people, sibling };
}

async function startForeign(
  pki: Pki,
  name: string,
  options: Parameters<typeof startSite>[1] = {},
): Promise<Site> {
  const { root, devices, people } = pki;
  const configured = [root, devices, people];
  const files = configured.map((one) => one.certificate);
  const bundle = await concatenate(join(scratch, `${name}.crt`), ...files);
  const settings = {
    'clientCa.certificates': bundle,
    'clientCa.crl': configured.map((one) => one.list).join(','),
    'clientCa.roles': RULES,
    // Read again when the test says so.
    'clientCa.refresh': '3650d',
    ...options.settings,
  };
  return startSite(join(scratch, name), { ...options, settings });
}

/** The status lines that a client hears under both versions; none where it was cut. */
async function hear(site: Site, client: Client | undefined, path = RELEASE): Promise<string[]> {
  const heard: string[] = [];
  for (const version of VERSIONS) {
    heard.push(
      ...readStatusLines((await speak(site, client, lastRequest(path), { version })).received),
    );
  }
  return heard;
}

const twice = (line: string): string[] => [line, line];

describe('certificates of several authorities', () => {
  let pki: Pki;
  let site: Site;
  let witness: Client;

  beforeAll(async () => {
    pki = await createPki('several');
    site = await startForeign(pki, 'several-site');
    witness = await host(pki.devices, 'witness');
  });
  afterAll(() => site.daemon.stop());

  it('let a host in that shows its leaf alone, and one that shows its chain', async () => {
    expect(await hear(site, witness)).toEqual(twice(OK));
    const chain = join(witness.folder, 'chain.crt');
    const certificate = await concatenate(chain, witness.certificate, pki.devices.certificate);
    expect(await hear(site, { ...witness, certificate })).toEqual(twice(OK));
  });

  it('are roles by the rules, and nobody without', async () => {
    const admin = await pki.people.issue({
      subject: subjectOf('alice', 'operators'),
      key: 'RSA-2048',
    });
    expect(await hear(site, admin, '/v1/status')).toEqual(twice(OK));
    expect(await hear(site, witness, '/v1/status')).toEqual(twice('HTTP/1.1 403 Role not allowed'));
    const nobody = await pki.people.issue({ subject: '/O=Lund University/CN=mallory' });
    expect(await hear(site, nobody)).toEqual(twice(UNKNOWN));
    const answer = await ask(site, nobody, RELEASE);
    expect(readCode(answer)).toBe('CERTIFICATE_NOT_RECORDED');
    expect(answer.text).toContain('gets a role from no rule of clientCa.roles');
  });

  it.each([
    ['two OUs, the second the one of admins', '/O=Lund University/OU=webservers/OU=operators/CN=x'],
    ['two OUs, the first the one of admins', '/O=Lund University/OU=operators/OU=webservers/CN=x'],
    ['two OUs in one RDN', '/O=Lund University/OU=operators+OU=webservers/CN=x'],
    ['another O in front', '/O=Evil/O=Lund University/OU=operators/CN=x'],
    ['two CNs', '/O=Lund University/OU=operators/CN=x/CN=y'],
    ['the other case', '/O=Lund University/OU=Operators/CN=x'],
    ['a blank more', '/O=Lund University/OU=operators /CN=x'],
    ['a CN that spells an OU', '/O=Lund University/CN=x, OU=operators'],
    ['a Cyrillic o', '/O=Lund University/OU=оperators/CN=x'],
    ['a name that is none', '/O=Lund University/OU=operators/CN=x y'],
    ['a dot where there is a star', '/O=Lund University/OU=operators/CN=x.y'],
  ])('make nobody an admin by %s', async (_name, subject) => {
    expect(await hear(site, await pki.people.issue({ subject }), '/v1/status')).toEqual(
      twice(UNKNOWN),
    );
  });

  it.each([
    ['no EKU', ['basicConstraints=critical,CA:FALSE']],
    ['serverAuth only', SERVER],
    ['CA:TRUE', ['basicConstraints=critical,CA:TRUE', 'extendedKeyUsage=clientAuth']],
  ])('are cut without a byte: %s', async (_name, extensions) => {
    const subject = subjectOf('odd.web.example');
    expect(await hear(site, await pki.devices.issue({ subject, extensions }))).toEqual([]);
  });

  it('are cut without a byte: of a sibling that is not configured, with and without its chain', async () => {
    const printer = await host(pki.sibling, 'printer');
    expect(await hear(site, printer)).toEqual([]);
    const chain = join(printer.folder, 'chain.crt');
    const parts = [printer.certificate, pki.sibling.certificate, pki.root.certificate];
    const certificate = await concatenate(chain, ...parts);
    expect(await hear(site, { ...printer, certificate })).toEqual([]);
  });

  it('are cut without a byte: of our own client CA, which nobody uses here', async () => {
    const made = {
      key: join(site.data, 'certs/client-ca.key'),
      cert: join(site.data, 'certs/client-ca.crt'),
    };
    const stranger = await host(pki.devices, 'stranger');
    const certificate = join(stranger.folder, 'own.crt');
    const args = ['-in', join(stranger.folder, 'csr.pem'), '-CA', made.cert, '-CAkey', made.key];
    const extensions = join(stranger.folder, 'ext');
    await writeFile(extensions, 'extendedKeyUsage=clientAuth\nkeyUsage=digitalSignature\n');
    await succeed('openssl', [
      'x509',
      '-req',
      ...args,
      '-CAcreateserial',
      '-extfile',
      extensions,
      '-out',
      certificate,
    ]);
    expect(await hear(site, { ...stranger, certificate })).toEqual([]);
  });

  it('are cut without a byte: none at all, and a root of the same name', async () => {
    expect(await hear(site, undefined)).toEqual([]);
    const double = await createRoot(join(scratch, 'double'), 'Lund Devices');
    expect(await hear(site, await host(double, 'double'))).toEqual([]);
  });

  it('are told that they have expired, or are not valid yet', async () => {
    const subject = subjectOf('old.web.example');
    const old = await pki.devices.issue({ subject, from: -9, to: -2 });
    expect(await hear(site, old)).toEqual(twice('HTTP/1.1 403 Certificate expired'));
    const young = await pki.devices.issue({ subject, from: 2, to: 9 });
    expect(await hear(site, young)).toEqual(twice('HTTP/1.1 403 Certificate not yet valid'));
  });

  it('revoked by the intermediate are refused, on the connection that was open too', async () => {
    const leaf = await host(pki.devices, 'leaving');
    const open = await openConnection({ port: site.port, client: leaf, ca: site.ca });
    open.send(getRequest(RELEASE));
    await waitFor('200', () => (open.received().includes('200 OK') ? true : undefined));
    await pki.devices.revoke(leaf.certificate);
    await pki.devices.publish();
    expect(await hear(site, leaf)).toEqual(twice(OK));
    await site.perform('crl.refresh', {});
    expect(readStatusLines(await open.ended())).toEqual([OK, REVOKED]);
    expect(await hear(site, leaf)).toEqual(twice(REVOKED));
    expect(await hear(site, witness)).toEqual(twice(OK));
  });

  it('of one serial under two authorities: revoking one leaves the other alone', async () => {
    const serial = '7f00000000000000000000000000beef';
    const device = await pki.devices.issue({ subject: subjectOf('twin.web.example'), serial });
    const person = await pki.people.issue({ subject: subjectOf('twin', 'builders'), serial });
    await pki.people.revoke(person.certificate);
    await pki.people.publish();
    await site.perform('crl.refresh', {});
    expect(await hear(site, person)).toEqual(twice(REVOKED));
    expect(await hear(site, device)).toEqual(twice(OK));
  });

  it('of one name are one host', async () => {
    const [one, other] = [await host(pki.devices, 'same'), await host(pki.devices, 'same')];
    expect(await hear(site, one)).toEqual(twice(OK));
    expect(await hear(site, other)).toEqual(twice(OK));
  });

  it('cannot be issued or revoked here, and are tested by the rules', async () => {
    const csr = await readFile(join(witness.folder, 'csr.pem'), 'utf8');
    const refused = { code: 'AUTHORITY_FOREIGN' };
    await expect(
      site.perform('certificate.issue', { name: 'x', role: 'host', csr }),
    ).rejects.toMatchObject(refused);
    const input = { certificate: 'witness.web.example' };
    await expect(site.perform('certificate.revoke', input)).rejects.toMatchObject(refused);
    const pem = await readFile(witness.certificate, 'utf8');
    expect(await site.perform('certificate.test', { pem })).toMatchObject({
      admitted: true,
      name: 'witness.web.example',
      role: 'host',
    });
    const other = await readFile((await host(pki.sibling, 'x')).certificate, 'utf8');
    expect(await site.perform('certificate.test', { pem: other })).toMatchObject({
      admitted: false,
      reason: 'The certificate was issued by another authority.',
    });
  });

  // Last: it takes every device away.
  it('are all refused when the root revokes their intermediate, whatever chain they show', async () => {
    const open = await openConnection({ port: site.port, client: witness, ca: site.ca });
    open.send(getRequest(RELEASE));
    await waitFor('200', () => (open.received().includes('200 OK') ? true : undefined));
    await pki.root.revoke(pki.devices.certificate);
    await pki.root.publish();
    await site.perform('crl.refresh', {});
    expect(readStatusLines(await open.ended())).toEqual([OK, REVOKED]);
    expect(await hear(site, witness)).toEqual(twice(REVOKED));
    const chain = join(witness.folder, 'chain.crt');
    const certificate = await concatenate(chain, witness.certificate, pki.devices.certificate);
    expect(await hear(site, { ...witness, certificate })).toEqual(twice(REVOKED));
    const person = await pki.people.issue({ subject: subjectOf('bob', 'builders') });
    expect(await hear(site, person)).toEqual(twice(OK));
  });
});

describe.each(['root', 'devices'] as const)('the list of the %s', (which) => {
  it('closes the door to everybody when it runs out, until it was renewed and read', async () => {
    const clock = createClock();
    const pki = await createPki(`stale-${which}`);
    await pki[which].publish({ to: 2 });
    const site = await startForeign(pki, `stale-${which}-site`, { clock });
    const device = await host(pki.devices, 'web');
    const person = await pki.people.issue({ subject: subjectOf('alice', 'operators') });
    expect(await hear(site, device)).toEqual(twice(OK));
    clock.advance(3 * DAY_MS);
    for (const client of [device, person]) expect(await hear(site, client)).toEqual(twice(STALE));
    const status = await site.perform('status.show', {});
    expect(status.door).toBe('closed');
    const name = `revocation list of ${which === 'root' ? 'Lund Root' : 'Lund Devices'}`;
    expect(status.clocks.find((one) => one.name === name)).toMatchObject({ state: 'error' });
    await pki[which].publish({ to: 6 });
    await site.perform('crl.refresh', {});
    for (const client of [device, person]) expect(await hear(site, client)).toEqual(twice(OK));
    await site.daemon.stop();
  });

  it('that ran out before the start starts the server closed, and a refresh opens it', async () => {
    const pki = await createPki(`began-${which}`);
    await pki[which].publish({ from: -9, to: -2 });
    const site = await startForeign(pki, `began-${which}-site`);
    const device = await host(pki.devices, 'web');
    expect(await hear(site, device)).toEqual(twice(STALE));
    const early = await openConnection({ port: site.port, client: device, ca: site.ca });
    await pki[which].publish();
    await site.perform('crl.refresh', {});
    expect(await hear(site, device)).toEqual(twice(OK));
    // Its handshake was judged by a list out of date: what else was wrong with it nobody knows.
    early.send(getRequest(RELEASE));
    expect(readStatusLines(await early.ended())).toEqual([STALE]);
    await site.daemon.stop();
  });
});

describe('an authority whose key was renewed under its old name', () => {
  it('counts with both keys, a list of each', async () => {
    const base = join(scratch, 'renewed');
    const root = await createRoot(base, 'Root');
    const [old, young] = [await root.createBelow('Devices'), await root.createBelow('Devices')];
    for (const one of [root, old, young]) await one.publish();
    const pki: Pki = { root, devices: old, people: young, sibling: root };
    const site = await startForeign(pki, 'renewed-site');
    const wanted = { subject: subjectOf('a.web.example'), serial: '3001' };
    const [before, after] = [await old.issue(wanted), await young.issue(wanted)];
    for (const one of [before, after]) expect(await hear(site, one)).toEqual(twice(OK));
    await old.revoke(before.certificate);
    await old.publish();
    await site.perform('crl.refresh', {});
    expect(await hear(site, before)).toEqual(twice(REVOKED));
    expect(await hear(site, after)).toEqual(twice(OK));
    // OpenSSL would take either for the list of both.
    await young.publish({ numbered: false });
    const why = /has no authorityKeyIdentifier, and another authority has that name/;
    await expect(site.perform('crl.refresh', {})).rejects.toThrow(why);
    await site.daemon.stop();
  });
});

describe('an authority with limits', () => {
  it('that signs beyond its name constraints or its path length is not believed', async () => {
    const base = join(scratch, 'limits');
    const root = await createRoot(base, 'Root');
    const narrow = await root.createBelow('Narrow', {
      extensions: ['nameConstraints=critical,permitted;DNS:web.example'],
    });
    for (const one of [root, narrow]) await one.publish();
    const pki: Pki = { root, devices: narrow, people: await root.createBelow('P'), sibling: root };
    await pki.people.publish();
    const site = await startForeign(pki, 'limits-site');
    const within = { subject: subjectOf('a.web.example'), names: 'DNS:a.web.example' };
    expect(await hear(site, await narrow.issue(within))).toEqual(twice(OK));
    const beyond = { subject: subjectOf('a.web.example'), names: 'DNS:a.bank.example' };
    expect(await hear(site, await narrow.issue(beyond))).toEqual([]);
    await site.daemon.stop();
  });

  it('is not believed either while its list, out of date, hides what else is wrong', async () => {
    const base = join(scratch, 'hidden');
    const root = await createRoot(base, 'Root');
    // Only OpenSSL knows what to make of it, and of two faults it tells the one of the list.
    const odd = await root.createBelow('Odd', { extensions: ['1.2.3.4.5=critical,ASN1:NULL'] });
    const people = await root.createBelow('People');
    for (const one of [root, people]) await one.publish();
    await odd.publish({ from: -9, to: -2 });
    const site = await startForeign({ root, devices: odd, people, sibling: root }, 'hidden-site');
    const client = await host(odd, 'web');
    const early = await openConnection({ port: site.port, client, ca: site.ca });
    await odd.publish();
    await site.perform('crl.refresh', {});
    expect(await hear(site, client)).toEqual([]);
    early.send(getRequest(RELEASE));
    expect(readStatusLines(await early.ended())).toEqual([STALE]);
    await site.daemon.stop();
  });
});

describe.each(['RSA-2048', 'RSA-4096', 'P-384', 'Ed25519'] as const)('authorities of %s', (key) => {
  it('count, and so do their lists', async () => {
    const base = join(scratch, `keys-${key}`);
    const root = await createRoot(base, 'Root', { key });
    // Keys of 4096 bits are slow to make: one is enough.
    const below = key === 'RSA-4096' ? 'RSA-2048' : key;
    const devices = await root.createBelow('Devices', { key: below });
    const people = await root.createBelow('People', { key: 'P-256' });
    for (const one of [root, devices, people]) await one.publish();
    const site = await startForeign({ root, devices, people, sibling: root }, `keys-${key}-site`);
    const issue = (name: string): Promise<Client> =>
      devices.issue({ subject: subjectOf(`${name}.web.example`), key: below });
    const [stays, goes] = [await issue('stays'), await issue('goes')];
    expect(await hear(site, goes)).toEqual(twice(OK));
    await devices.revoke(goes.certificate);
    await devices.publish();
    await site.perform('crl.refresh', {});
    expect(await hear(site, goes)).toEqual(twice(REVOKED));
    expect(await hear(site, stays)).toEqual(twice(OK));
    await site.daemon.stop();
  });
});
