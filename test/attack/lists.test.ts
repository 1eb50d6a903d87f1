/**
 * Revocation lists that must not count, offered to a running server where a site has its own
 * authority: the one in force stays, with what it revokes, and somebody is told. And a start
 * without a list: there is none. Lists by openssl; real sockets, TLS 1.2 and 1.3. RFC 5280 section 5.
 */
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { createRoot, type ForeignAuthority, type ListOptions } from '../authority/foreign-pki.ts';
import { readSerials, verifyCrl } from '../authority/kept.ts';
import { createScratch, succeed } from '../e2e/command.ts';
import { getRequest, lastRequest, openConnection, readStatusLines } from '../e2e/connection.ts';
import { findFreePort, runAptkeep } from '../e2e/program.ts';
import type { Client } from '../e2e/site.ts';
import { ask, type Site, startSite } from '../http/start.ts';
import { speak } from './speak.ts';

const RELEASE = '/dists/stable/InRelease';
const OK = 'HTTP/1.1 200 OK';
const REVOKED = 'HTTP/1.1 403 Certificate revoked';
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const RULES = 'admin: OU=operators, CN=*\nhost: OU=hosts, CN=*';

const scratch = createScratch('lists-attack');
const base = join(scratch, 'pki');

/** The status lines that a client hears under both versions. */
async function hear(site: Site, client: Client): Promise<string[]> {
  const heard: string[] = [];
  for (const version of VERSIONS) {
    const { received } = await speak(site, client, lastRequest(RELEASE), { version });
    heard.push(...readStatusLines(received));
  }
  return heard;
}

const twice = (line: string): string[] => [line, line];

describe('a list that is offered to a running server', () => {
  const file = join(scratch, 'offered.pem');
  const older = join(scratch, 'older.pem');
  let authority: ForeignAuthority;
  /** Of the same name. */
  let namesake: ForeignAuthority;
  let site: Site;
  let admin: Client;
  let witness: Client;
  let gone: Client;

  const issue = (unit: string, name: string): Promise<Client> =>
    authority.issue({ subject: `/OU=${unit}/CN=${name}` });
  /** A list that names nobody: made with books that know of no revocation. */
  const publishEmpty = async (options: ListOptions = {}): Promise<string> => {
    const books = join(authority.folder, 'index.txt');
    const kept = await readFile(books);
    await writeFile(books, '');
    await authority.publish(options);
    await writeFile(books, kept);
    return authority.list;
  };

  beforeAll(async () => {
    authority = await createRoot(base, 'Devices');
    namesake = await createRoot(base, 'Devices');
    admin = await issue('operators', 'root');
    witness = await issue('hosts', 'witness');
    gone = await issue('hosts', 'gone');
    await copyFile(await authority.publish(), older);
    await authority.revoke(gone.certificate);
    await copyFile(await authority.publish(), file);
    site = await startSite(join(scratch, 'site'), {
      settings: {
        'clientCa.certificates': authority.certificate,
        'clientCa.crl': file,
        'clientCa.roles': RULES,
        'clientCa.refresh': '3650d',
      },
    });
  });
  afterAll(() => site.daemon.stop());

  const refresh = () => ask(site, admin, '/v1/crl/refresh', { method: 'POST' });
  const changeByte = async (): Promise<void> => {
    await succeed('openssl', ['crl', '-in', await publishEmpty(), '-outform', 'DER', '-out', file]);
    const bytes = await readFile(file);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 5) ^ 1, bytes.length - 5);
    await writeFile(file, bytes);
  };
  const offer = (options: ListOptions) => async () => copyFile(await publishEmpty(options), file);

  it.each<[string, () => Promise<unknown>]>([
    ['of a lower number', () => copyFile(older, file)],
    ['of another key', async () => copyFile(await namesake.publish(), file)],
    ['with one byte changed', changeByte],
    ['from the future', offer({ from: 1, to: 9 })],
    ['that is a delta', offer({ extensions: 'delta' })],
    ['with an unknown critical extension', offer({ extensions: 'critical' })],
    ['that is cut short', async () => writeFile(file, (await readFile(file)).subarray(0, 150))],
    ['that is empty', () => writeFile(file, '')],
    ['that is gone', () => rm(file)],
  ])('%s is not loaded: the one before it stays, and there is an alarm', async (_name, change) => {
    const open = await openConnection({ port: site.port, client: witness, ca: site.ca });
    await change();
    const refused = await refresh();
    expect([refused.status, JSON.parse(refused.text).code]).toEqual([422, 'CRL_UNACCEPTABLE']);
    expect(await hear(site, gone)).toEqual(twice(REVOKED));
    expect(await hear(site, witness)).toEqual(twice(OK));
    open.send(lastRequest(RELEASE));
    expect(readStatusLines(await open.ended())).toEqual([OK]);
    const status = JSON.parse((await ask(site, admin, '/v1/status')).text);
    const clock = { name: 'reading of offered.pem', state: 'error' };
    expect(status.clocks).toContainEqual(expect.objectContaining(clock));
    expect([status.door, status.health]).toEqual(['open', 'error']);
  });

  it('that is right is loaded again, and the alarm is over', async () => {
    const open = await openConnection({ port: site.port, client: witness, ca: site.ca });
    open.send(getRequest(RELEASE));
    await authority.revoke(witness.certificate);
    await copyFile(await authority.publish(), file);
    expect((await refresh()).status).toBe(200);
    expect(readStatusLines(await open.ended())).toEqual([OK, REVOKED]);
    expect(await hear(site, witness)).toEqual(twice(REVOKED));
    const status = JSON.parse((await ask(site, admin, '/v1/status')).text);
    expect(status.health).not.toBe('error');
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['empty', () => writeFile(file, ''), /no revocation list of Devices: offered.pem: No revoc/],
    [
      'missing',
      () => rm(file, { force: true }),
      /no revocation list of Devices: offered.pem: there/,
    ],
    ['of another key', async () => copyFile(await namesake.publish(), file), /signature does not/],
    ['a delta', offer({ extensions: 'delta' }), /it is a delta list/],
  ])('%s at the start, with none from before: nothing is served', async (name, change, why) => {
    await change();
    const data = join(scratch, `start-${name.replaceAll(' ', '-')}`);
    const port = await findFreePort();
    const outcome = await runAptkeep(['serve', '--data', data, '--listen', `127.0.0.1:${port}`], {
      APTKEEP_CLIENTCA_CERTIFICATES: authority.certificate,
      APTKEEP_CLIENTCA_CRL: file,
      APTKEEP_CLIENTCA_ROLES: RULES,
    });
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toMatch(why);
    expect(outcome.stdout).not.toContain('ready');
  });
});

describe('our own list', () => {
  let data = '';
  let count = 0;
  let site: Site;
  let host: Client;
  let gone: Client & { serial: string };

  beforeEach(async () => {
    count += 1;
    data = join(scratch, `own-${count}`);
    site = await startSite(data);
    host = await site.issue('web', 'host');
    gone = await site.issue('gone', 'host');
  });

  const readNumber = async (): Promise<number> => {
    const printed = await succeed('openssl', [
      ...['crl', '-in', join(data, 'certs/crl.pem'), '-noout', '-crlnumber'],
    ]);
    return Number(printed.trim().replace('crlNumber=', ''));
  };
  const expectRefused = async (): Promise<void> => {
    expect(await hear(site, gone)).toEqual(twice(REVOKED));
    expect(await hear(site, host)).toEqual(twice(OK));
    expect(readSerials(await verifyCrl(data))).toContain(gone.serial);
  };

  it('is not set back by a catalog from before a revocation', async () => {
    const catalog = join(data, 'catalog.sqlite');
    await site.daemon.stop();
    await copyFile(catalog, `${catalog}-backup`);
    site = await startSite(data);
    const late = await site.issue('late', 'host');
    for (const name of ['gone', 'late']) {
      await site.perform('certificate.revoke', { certificate: name, reason: 'keyCompromise' });
    }
    const number = await readNumber();
    await site.daemon.stop();
    await copyFile(`${catalog}-backup`, catalog);
    site = await startSite(data);
    await expectRefused();
    expect(await hear(site, late)).toEqual(
      twice('HTTP/1.1 403 Certificate unknown to this server'),
    );
    expect(await readNumber()).toBeGreaterThan(number);
    const shown = await site.perform('certificate.show', { certificate: 'gone' });
    expect(shown.certificates).toMatchObject([{ status: 'revoked', reason: 'keyCompromise' }]);
    // And again, from the catalog that knows it once more.
    await site.daemon.stop();
    site = await startSite(data);
    await expectRefused();
    await site.daemon.stop();
  });

  it.each<[string, (file: string) => Promise<unknown>]>([
    ['gone', (file) => rm(file)],
    ['empty', (file) => writeFile(file, '')],
    ['garbage', (file) => writeFile(file, 'garbage')],
    [
      'of another key, with a high number',
      async (file) => {
        const other = await createRoot(base, 'aptkeep client CA 1', {
          subject: '/O=aptkeep/CN=aptkeep client CA 1',
        });
        await writeFile(join(other.folder, 'crlnumber.txt'), '0FFFFFFF\n');
        await copyFile(await other.publish(), file);
      },
    ],
    ['an older one', (file) => copyFile(`${file}-older`, file)],
  ])('in certs/ that is %s changes nothing', async (_name, change) => {
    const file = join(data, 'certs/crl.pem');
    await copyFile(file, `${file}-older`);
    await site.perform('certificate.revoke', { certificate: 'gone' });
    const number = await readNumber();
    await site.daemon.stop();
    await change(file);
    site = await startSite(data);
    await expectRefused();
    expect(await readNumber()).toBe(number + 1);
    await site.daemon.stop();
  });

  it('that is lost everywhere is made again from what is recorded as revoked', async () => {
    await site.perform('certificate.revoke', { certificate: 'gone' });
    await site.daemon.stop();
    await rm(join(data, 'certs/crl.pem'));
    const catalog = await openSqlite(join(data, 'catalog.sqlite'));
    await catalog.run('DELETE FROM crl');
    await catalog.close();
    site = await startSite(data);
    await expectRefused();
    await site.daemon.stop();
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['garbage', 'garbage'],
  ])('that is %s in the catalog: the server does not start', async (_name, pem) => {
    await site.daemon.stop();
    const catalog = await openSqlite(join(data, 'catalog.sqlite'));
    const kept = await catalog.all<{ number: number; pem: string }>('SELECT number, pem FROM crl');
    await catalog.run('UPDATE crl SET pem = $1', pem);
    await expect(startSite(data)).rejects.toMatchObject({ code: 'CRL_UNACCEPTABLE' });
    for (const row of kept) {
      await catalog.run('UPDATE crl SET pem = $2 WHERE number = $1', row.number, row.pem);
    }
    await catalog.close();
  });
});
