/** The first day: two authorities that share nothing, keys that only their owner reads. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { createScratch, succeed } from '../e2e/command.ts';
import { fingerprintFolder } from '../e2e/site.ts';
import { initialise, openKept, readSerials, verifyCrl } from './kept.ts';

const scratch = createScratch('initialise');
const data = join(scratch, 'data');
const certs = join(data, 'certs');

const show = (file: string, ...flags: string[]): Promise<string> =>
  succeed('openssl', ['x509', '-in', join(certs, file), '-noout', '-nameopt', 'RFC2253', ...flags]);

beforeAll(async () => {
  const mask = process.umask(0);
  await initialise(data, { settings: { name: 'Uni', hostname: 'repo.example.org,192.0.2.7' } });
  process.umask(mask);
});

describe('certs/', () => {
  it('is 0700 with keys of 0600, whatever the umask', async () => {
    const modeOf = async (file: string): Promise<string> =>
      ((await stat(join(certs, file))).mode & 0o777).toString(8);
    expect(await modeOf('.')).toBe('700');
    for (const file of ['client-ca.key', 'server-ca.key', 'server.key', 'archive-key.asc']) {
      expect([file, await modeOf(file)]).toEqual([file, '600']);
    }
    for (const file of ['client-ca.crt', 'server-ca.crt', 'server.crt', 'crl.pem']) {
      expect([file, await modeOf(file)]).toEqual([file, '644']);
    }
  });

  it.each(['client', 'server'])('has a self-signed %s CA that openssl accepts', async (kind) => {
    const file = join(certs, `${kind}-ca.crt`);
    await succeed('openssl', ['verify', '-x509_strict', '-check_ss_sig', '-CAfile', file, file]);
    const text = await show(`${kind}-ca.crt`, '-text');
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0\n/);
    expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(text).toContain('ASN1 OID: prime256v1');
    const names = (await show(`${kind}-ca.crt`, '-subject', '-issuer')).trim().split('\n');
    const name = names.map((line) =>
      line
        .slice(line.indexOf('=') + 1)
        .split(',')
        .sort(),
    );
    expect(name).toEqual(Array(2).fill([`CN=Uni ${kind} CA 1`, 'O=Uni']));
  });

  it('has two CAs of different keys, neither of which vouches for the other', async () => {
    const [client, server] = [
      await show('client-ca.crt', '-pubkey'),
      await show('server-ca.crt', '-pubkey'),
    ];
    expect(client).not.toBe(server);
    const crossed = ['-CAfile', join(certs, 'client-ca.crt'), join(certs, 'server.crt')];
    await expect(succeed('openssl', ['verify', ...crossed])).rejects.toThrow(/unable to get/);
  });

  it('has a server certificate for every name, of the server CA alone', async () => {
    const flags = [
      '-x509_strict',
      '-purpose',
      'sslserver',
      '-CAfile',
      join(certs, 'server-ca.crt'),
    ];
    for (const name of ['repo.example.org', 'localhost']) {
      const named = ['verify', ...flags, '-verify_hostname', name, join(certs, 'server.crt')];
      await succeed('openssl', named);
    }
    for (const address of ['192.0.2.7', '127.0.0.1', '::1']) {
      await succeed('openssl', [
        'verify',
        ...flags,
        '-verify_ip',
        address,
        join(certs, 'server.crt'),
      ]);
    }
    expect(await show('server.crt', '-ext', 'extendedKeyUsage')).toMatch(
      /TLS Web Server Authentication\s*$/,
    );
  });

  it('has a revocation list that names nobody', async () => {
    const text = await verifyCrl(data);
    expect(text).toContain('No Revoked Certificates');
    expect(readSerials(text)).toEqual([]);
  });
});

describe('a second time', () => {
  it('is refused and changes nothing', async () => {
    const before = await fingerprintFolder(certs);
    await expect(initialise(data)).rejects.toMatchObject({ code: 'ALREADY_INITIALISED' });
    expect(await fingerprintFolder(certs)).toBe(before);
  });

  it.each(['client-ca.key', 'server-ca.key', 'archive-key.asc'])(
    'where only %s is there, it is never overwritten',
    async (file) => {
      const other = join(scratch, `only-${file}`);
      await mkdir(join(other, 'certs'), { recursive: true, mode: 0o700 });
      await writeFile(join(other, 'certs', file), 'a key of somebody else\n', { mode: 0o600 });
      await expect(initialise(other)).rejects.toMatchObject({ code: 'ALREADY_INITIALISED' });
      expect(await readFile(join(other, 'certs', file), 'utf8')).toBe('a key of somebody else\n');
    },
  );
});

describe('opening', () => {
  it.each(['client-ca.crt', 'client-ca.key'])('without %s is refused by name', async (file) => {
    const other = join(scratch, `without-${file}`);
    await initialise(other);
    const kept = await readFile(join(other, 'certs', file));
    await succeed('rm', [join(other, 'certs', file)]);
    await expect(openKept(other)).rejects.toMatchObject({
      code: 'NOT_INITIALISED',
      message: `certs/${file} is missing`,
    });
    await writeFile(join(other, 'certs', file), kept, { mode: 0o600 });
    await (await openKept(other)).close();
  });

  it('with a list in the catalog that another key signed is refused', async () => {
    const other = join(scratch, 'other-list');
    await initialise(other);
    const kept = await openKept(other);
    const foreign = await readFile(join(certs, 'crl.pem'), 'utf8');
    const own = await readFile(join(other, 'certs/crl.pem'), 'utf8');
    await kept.authority.catalog.run('UPDATE crl SET pem = $1', foreign);
    await kept.close();
    await expect(openKept(other)).rejects.toMatchObject({ code: 'CRL_UNACCEPTABLE' });
    const catalog = await openSqlite(join(other, 'catalog.sqlite'));
    await catalog.run('UPDATE crl SET pem = $1', own);
    await catalog.close();
    await (await openKept(other)).close();
  });
});
