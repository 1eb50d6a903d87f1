/** Kits and renewal over days: who has which certificate when, by a clock that is set. */
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { issueNextCrl } from '../../src/authority/crl.ts';
import type { Actor } from '../../src/operations/operation.ts';
import { perform } from '../../src/operations/perform.ts';
import type { InputOf, OperationName, OutputOf } from '../../src/operations/table.ts';
import { createPackage } from '../repository/open.ts';
import { readKitFile } from './kit-contents.ts';
import { ACTORS, createCsr, type OpenSite, openSite } from './open.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

let site: OpenSite;
beforeEach(async () => {
  site = await openSite();
});
afterEach(() => site.close());

const asAdmin = <Name extends OperationName>(
  name: Name,
  input: InputOf<Name>,
): Promise<OutputOf<Name>> => perform(site.parts, ACTORS.admin, name, input);

const codeOf = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? String(error),
  );

/** The bearer of the newest certificate of a name. */
async function actorOf(name: string): Promise<Actor> {
  const { certificates } = await asAdmin('certificate.show', { certificate: name });
  const [newest] = certificates;
  if (!newest) throw new Error(`no certificate of ${name}`);
  return { ...ACTORS.host, name, role: newest.role, serial: newest.serial, suites: newest.suites };
}

/** What the kit's certificate asks for. */
async function useKit(kit: Actor): Promise<Actor> {
  const { name, serial } = await perform(site.parts, kit, 'host.enrol', { csr: createCsr() });
  return { ...ACTORS.host, name, serial };
}

async function enrol(name: string): Promise<Actor> {
  await asAdmin('host.add', { host: name });
  return useKit(await actorOf(name));
}

const renew = async (actor: Actor): Promise<Actor> => {
  const { serial } = await perform(site.parts, actor, 'certificate.renew', { csr: createCsr() });
  return { ...actor, serial };
};

const isRefused = (actor: Actor): boolean =>
  site.parts.authority.trust.isRevoked(actor.serial ?? '');

/** What the timer of a running server does every hour. */
const passHours = async (hours: number): Promise<void> => {
  site.clock.now += hours * HOUR_MS;
  await issueNextCrl(site.parts.authority);
};

describe('a kit', () => {
  it('holds a certificate for an hour that openssl reads as that host’s enrolment', async () => {
    const { kit, kitExpires, certificate } = await asAdmin('host.add', { host: 'web' });
    expect(certificate).toBeNull();
    const [pem] = readKitFile(kit, 'enrolment.crt');
    const read = new X509Certificate(pem ?? '');
    expect(read.subject).toBe('OU=enrolment\nCN=web');
    expect(read.subjectAltName).toBe('URI:urn:aptkeep:enrolment:web');
    expect(read.validToDate.getTime()).toBe(site.clock.now + HOUR_MS);
    expect(new Date(kitExpires).getTime()).toBe(site.clock.now + HOUR_MS);
  });

  it('is made once for a host, again when asked, and then the earlier ones are void', async () => {
    await asAdmin('host.add', { host: 'web' });
    const first = await actorOf('web');
    expect(await codeOf(asAdmin('host.add', { host: 'web' }))).toBe('HOST_EXISTS');
    expect(await codeOf(asAdmin('host.add', { host: 'new', again: true }))).toBe('HOST_UNKNOWN');
    expect(isRefused(first)).toBe(false);
    site.clock.now += 1000;
    await asAdmin('host.add', { host: 'web', again: true });
    expect(isRefused(first)).toBe(true);
    expect(await codeOf(useKit(first))).toBe('CERTIFICATE_REVOKED');
    expect(await codeOf(useKit(await actorOf('web')))).toBe('done');
  });

  it('leaves the certificate of a host that has one as it is', async () => {
    const host = await enrol('web');
    await asAdmin('host.add', { host: 'web', again: true });
    expect(isRefused(host)).toBe(false);
  });

  it('is void when the host is removed', async () => {
    await asAdmin('host.add', { host: 'web' });
    const kit = await actorOf('web');
    await asAdmin('host.remove', { host: 'web' });
    expect(isRefused(kit)).toBe(true);
    expect(await codeOf(useKit(kit))).toBe('CERTIFICATE_REVOKED');
  });

  it('is not made for a name that is no host’s', async () => {
    await asAdmin('certificate.issue', { name: 'ci', role: 'uploader', csr: createCsr() });
    expect(await codeOf(asAdmin('host.add', { host: 'ci' }))).toBe('INPUT_INVALID');
    expect((await asAdmin('host.list', {})).hosts).toEqual([]);
  });

  it('publishes the client and the keyring into every suite, once', async () => {
    await asAdmin('suite.create', { name: 'testing', origin: 'Uni', label: 'Uni' });
    const listed = async (): Promise<string[]> =>
      (await asAdmin('package.list', {})).packages.map((one) => `${one.suite} ${one.package}`);
    expect(await listed()).toEqual([]);
    await asAdmin('host.add', { host: 'web' });
    expect((await listed()).sort()).toEqual(
      ['stable', 'testing'].flatMap((suite) => [
        `${suite} aptkeep-archive-keyring`,
        `${suite} aptkeep-client`,
      ]),
    );
    const before = (await asAdmin('suite.list', {})).suites.map((suite) => suite.publication);
    await asAdmin('host.add', { host: 'web2' });
    expect((await asAdmin('suite.list', {})).suites.map((suite) => suite.publication)).toEqual(
      before,
    );
  });
});

describe('renewal', () => {
  it('is due from two thirds of the life, and at once for who was left with the old one', async () => {
    const host = await enrol('web');
    const ask = (actor: Actor) => perform(site.parts, actor, 'certificate.self', {});
    const self = await ask(host);
    const [from, until] = [Date.parse(self.notBefore), Date.parse(self.notAfter)];
    expect(Date.parse(self.renewAfter)).toBe(from + ((until - from) * 2) / 3);
    expect(self).toMatchObject({ name: 'web', role: 'host', serial: host.serial, renew: false });
    site.clock.now = Date.parse(self.renewAfter);
    expect((await ask(host)).renew).toBe(true);
    const next = await renew(host);
    expect((await ask(host)).renew).toBe(true);
    expect((await ask(next)).renew).toBe(false);
  });

  it('revokes the old one a day later, as superseded, with the list that is due then', async () => {
    const host = await enrol('web');
    const next = await renew(host);
    await passHours(23);
    expect([isRefused(host), isRefused(next)]).toEqual([false, false]);
    await passHours(1);
    expect([isRefused(host), isRefused(next)]).toEqual([true, false]);
    const { certificates } = await asAdmin('certificate.show', { certificate: host.serial ?? '' });
    expect(certificates).toMatchObject([{ status: 'revoked', reason: 'superseded' }]);
    expect(await codeOf(renew(host))).toBe('CERTIFICATE_REVOKED');
  });

  it('asked for again with the old one takes the first answer for lost', async () => {
    const host = await enrol('web');
    const lost = await renew(host);
    await passHours(2);
    const next = await renew(host);
    await passHours(22);
    expect([host, lost, next].map(isRefused)).toEqual([true, false, false]);
    await passHours(2);
    expect([host, lost, next].map(isRefused)).toEqual([true, true, false]);
  });

  it('keeps name, role and suites, and has the life of the role', async () => {
    const wanted = { name: 'ci', role: 'uploader', suites: ['stable'], days: 2 } as const;
    await asAdmin('certificate.issue', { ...wanted, suites: ['stable'], csr: createCsr() });
    const next = await renew(await actorOf('ci'));
    const { certificates } = await asAdmin('certificate.show', { certificate: next.serial ?? '' });
    expect(certificates).toMatchObject([
      { name: 'ci', role: 'uploader', suites: ['stable'], status: 'valid' },
    ]);
    const until = Date.parse(certificates[0]?.notAfter ?? '');
    expect(until).toBe(site.clock.now + 30 * DAY_MS);
  });

  it('is not for a certificate that is revoked or expired', async () => {
    const host = await enrol('web');
    const late = await enrol('late');
    await asAdmin('certificate.revoke', { certificate: host.serial ?? '' });
    expect(await codeOf(renew(host))).toBe('CERTIFICATE_REVOKED');
    site.clock.now += 90 * DAY_MS;
    expect(await codeOf(renew(late))).toBe('CERTIFICATE_EXPIRED');
  });

  it('goes eight times a day for a name, whichever certificate asks', async () => {
    const host = await enrol('web');
    let last = host;
    // The answer to a kit counts as the first.
    for (let count = 1; count < 8; count += 1) last = await renew(count % 2 ? host : last);
    expect(await codeOf(renew(last))).toBe('RENEWED_TOO_OFTEN');
    expect(await codeOf(renew(host))).toBe('RENEWED_TOO_OFTEN');
    expect(await codeOf(enrol('web2'))).toBe('done');
    site.clock.now += DAY_MS + 1000;
    expect(await codeOf(renew(last))).toBe('done');
  });

  it('is not for the local command line, which has no certificate', async () => {
    const local = { ...ACTORS.admin, serial: null };
    for (const name of ['certificate.self', 'certificate.renew'] as const) {
      const input = name === 'certificate.self' ? {} : { csr: createCsr() };
      expect(await codeOf(perform(site.parts, local, name, input))).toBe('INPUT_INVALID');
    }
  });
});

describe('revoking a serial', () => {
  it('takes in what was issued by renewing it, down the line, and nothing else', async () => {
    await asAdmin('host.add', { host: 'web' });
    const kit = await actorOf('web');
    const host = await useKit(kit);
    const stolen = await renew(host);
    const onward = await renew(stolen);
    const other = await enrol('web2');
    const { certificates } = await asAdmin('certificate.revoke', {
      certificate: host.serial ?? '',
      reason: 'keyCompromise',
    });
    expect(new Set(certificates.map((one) => one.serial))).toEqual(
      new Set([host, stolen, onward].map((one) => one.serial)),
    );
    expect([host, stolen, onward, other].map(isRefused)).toEqual([true, true, true, false]);
  });

  it('of a kit takes in the host that it made', async () => {
    await asAdmin('host.add', { host: 'web' });
    const kit = await actorOf('web');
    const host = await useKit(kit);
    await asAdmin('certificate.revoke', { certificate: kit.serial ?? '' });
    expect(isRefused(host)).toBe(true);
  });
});

describe('a report', () => {
  const report = { serverCa: 'a'.repeat(64), keyring: 'b'.repeat(64), client: '0.1.0' };

  it('stands with the host, the last one', async () => {
    const host = await enrol('web');
    expect(await asAdmin('host.show', { host: 'web' })).toMatchObject({
      ...{ reportedAt: null, serverCa: null, keyring: null, client: null },
    });
    await perform(site.parts, host, 'host.report', { ...report, client: '0.0.9' });
    site.clock.now += 1000;
    await perform(site.parts, host, 'host.report', report);
    const reportedAt = new Date(site.clock.now).toISOString();
    expect(await asAdmin('host.show', { host: 'web' })).toMatchObject({ ...report, reportedAt });
  });

  it('says what is installed, and retention leaves that in its suite', async () => {
    const host = await enrol('web');
    for (const version of ['1', '2', '3']) {
      const file = await site.receive(createPackage({ name: 'tool', version }));
      await perform(site.parts, ACTORS.admin, 'package.add', { files: [file], suite: 'stable' });
    }
    await asAdmin('suite.set', {
      suite: 'stable',
      options: { retention: { newest: 1, days: null } },
    });
    const packages = 'base 1 all\ntool 1 all\n\nno line at all of any kind\n';
    await perform(site.parts, host, 'host.report', { ...report, packages });
    const named = async (): Promise<string[]> =>
      (await asAdmin('sweep.show', {})).things.map(({ name }) => name);
    expect(await named()).toEqual(['tool 2 all']);
    await perform(site.parts, host, 'host.report', { ...report, packages: 'tool 3 all\n' });
    expect(await named()).toEqual(['tool 2 all', 'tool 1 all']);
    await perform(site.parts, host, 'host.report', { ...report, packages });
    await asAdmin('certificate.revoke', { certificate: host.serial ?? '' });
    await asAdmin('host.remove', { host: 'web' });
    expect(await named()).toEqual(['tool 2 all', 'tool 1 all']);
  });

  it.each([
    ['a hash in upper case', { ...report, keyring: 'B'.repeat(64) }],
    ['a hash too short', { ...report, serverCa: 'a' }],
    ['a version of two lines', { ...report, client: '1\n2' }],
    ['a version too long', { ...report, client: '1'.repeat(65) }],
    ['no version', { serverCa: report.serverCa, keyring: report.keyring }],
  ])('with %s is refused', async (_name, input) => {
    const host = await enrol('web');
    const given = input as InputOf<'host.report'>;
    expect(await codeOf(perform(site.parts, host, 'host.report', given))).toBe('INPUT_INVALID');
  });
});
