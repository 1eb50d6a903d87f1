/**
 * A site whose keys are elsewhere: both CAs in a token, the OpenPGP key with gpg, the server's own
 * key under a passphrase. Real apt, gpgv and sqv, and nothing secret anywhere that others look.
 */
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createToken, PIN, type TokenKey } from '../authority/token.ts';
import { createGpgHome, type GpgHome } from '../signing/gpg-home.ts';
import type { AptRoot } from './apt-root.ts';
import { createScratch, run, succeed, waitFor } from './command.ts';
import { buildSmall } from './packages.ts';
import { runAptkeep, type Server, startServer } from './program.ts';
import { readServed, verifySignatures } from './signatures.ts';
import { type Client, curl, enrolHost, issueClient, putFile } from './site.ts';

const WORD = 'correct horse battery staple 4711';

const scratch = createScratch('keys');
const data = join(scratch, 'data');
const tables = join(scratch, 'process-tables');
let gpg: GpgHome;
let [clientKey, serverKey]: TokenKey[] = [];
let fingerprint = '';
let keyring = '';
let env: NodeJS.ProcessEnv = {};
let server: Server;
let host: { client: Client; root: AptRoot };
let uploader: Client;

/** The signer, which also writes down what `ps` shows of everybody while it runs. */
async function watchProcesses(path: string, command: string): Promise<string> {
  const list = `ps -eo args >>${tables}; for one in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$one; echo; done >>${tables} 2>/dev/null`;
  await writeFile(path, `#!/bin/sh\nexec 3<&0\n${command} "$@" <&3 &\n${list}\nwait $!\n`);
  await chmod(path, 0o700);
  return path;
}

beforeAll(async () => {
  const token = await createToken(join(scratch, 'token'));
  clientKey = await token.generate('client', 'EC:prime256v1', 'sha256', 'ECDSA');
  serverKey = await token.generate('server', 'EC:prime256v1', 'sha256', 'ECDSA');
  gpg = await createGpgHome(join(scratch, 'gpg'));
  fingerprint = await gpg.generate('Uni archive', 'ed25519');
  keyring = await gpg.export('uni.gpg', false, fingerprint);
  const word = join(scratch, 'passphrase');
  await writeFile(word, `${WORD}\n`, { mode: 0o600 });
  env = {
    APTKEEP_KEYS_PASSPHRASE_FILE: word,
    APTKEEP_SIGNER_CLIENT_CA: clientKey.command,
    APTKEEP_SIGNER_CLIENT_CA_PUBLIC_KEY: clientKey.publicKey,
    APTKEEP_SIGNER_SERVER_CA: serverKey.command,
    APTKEEP_SIGNER_SERVER_CA_PUBLIC_KEY: serverKey.publicKey,
    APTKEEP_SIGNER_OPENPGP: await watchProcesses(
      join(scratch, 'sign-release'),
      gpg.command(fingerprint),
    ),
    APTKEEP_SIGNER_OPENPGP_KEYRING: keyring,
  };
  await mkdir(data);
  const made = await runAptkeep(['init', '--data', data, '--hostname', 'localhost'], env);
  expect(made).toMatchObject({ status: 0, stderr: '' });
  server = await startServer({ data, env, flags: ['--log-level', 'debug'] });
  host = await enrolHost(data, 'web0', join(scratch, 'web0'));
  uploader = await issueClient(data, 'build', 'uploader');
});

afterAll(() => gpg.close());

describe('a repository whose keys are elsewhere', () => {
  it('has one key in certs/, and that one encrypted', async () => {
    const names = await readdir(join(data, 'certs'));
    expect(names.filter((name) => /\.key|archive-key\./.test(name))).toEqual(['server.key']);
    const key = await readFile(join(data, 'certs/server.key'), 'utf8');
    expect(key).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
  });

  it('publishes what apt installs, and gpgv and sqv verify', async () => {
    const file = await buildSmall({ name: 'sample', version: '1.0' }, scratch);
    expect((await putFile(uploader, server.url, file)).status).toBe(201);
    const update = await host.root.aptGet('update');
    expect(update.stderr).toBe('');
    expect(update.status).toBe(0);
    expect((await host.root.aptGet('install', 'sample')).status).toBe(0);
    const folder = join(scratch, 'served');
    await mkdir(folder, { mode: 0o700 });
    const read = readServed(host.client, `${server.url}/dists/stable`, folder);
    for (const name of ['InRelease', 'Release', 'Release.gpg']) await read(name);
    const served = join(folder, 'keyring.gpg');
    await readServed(host.client, server.url, folder)('archive-keyring.gpg');
    await succeed('cp', [join(folder, 'archive-keyring.gpg'), served]);
    expect(await verifySignatures(folder, served)).toBe(fingerprint);
    expect(await verifySignatures(folder, keyring)).toBe(fingerprint);
    const keyringFiles = ['archive-keyring.asc', 'archive-keyring.asc.sig'];
    for (const name of keyringFiles) await readServed(host.client, server.url, folder)(name);
    const [text = '', signature = ''] = keyringFiles.map((name) => join(folder, name));
    for (const tool of ['gpgv', 'sqv'])
      await succeed(tool, ['--keyring', keyring, signature, text]);
  });

  it('takes four uploads in a row, each of which apt sees', async () => {
    for (let number = 2; number < 6; number += 1) {
      const wanted = { name: 'sample', version: `${number}.0` };
      const file = await buildSmall(wanted, scratch);
      expect((await putFile(uploader, server.url, file)).status).toBe(201);
    }
    expect((await host.root.aptGet('update')).status).toBe(0);
    await host.root.aptGet('install', 'sample');
    expect((await host.root.listInstalled()).get('sample')).toBe('5.0');
  });

  it('revokes with a list that openssl and GnuTLS verify', async () => {
    const lost = await issueClient(data, 'lost', 'host');
    const path = `${server.url}/dists/stable/InRelease`;
    expect((await curl(lost, path)).status).toBe(200);
    expect((await runAptkeep(['cert', 'revoke', 'lost', '--data', data])).status).toBe(0);
    expect(await curl(lost, path)).toMatchObject({ status: 403, reason: 'Certificate revoked' });
    const [ca, crl] = [join(data, 'certs/client-ca.crt'), join(data, 'certs/crl.pem')];
    const verdict = await run('openssl', ['crl', '-in', crl, '-verify', '-CAfile', ca, '-noout']);
    expect(verdict.stderr.trim()).toBe('verify OK');
    const words = ['--verify-crl', '--load-ca-certificate', ca, '--infile', crl];
    expect(await succeed('certtool', words)).toContain('Verified');
  });
});

describe('where others look', () => {
  const limitsOf = async (pid: number): Promise<string> =>
    /^Max core file size +(.*?) +bytes/m.exec(await readFile(`/proc/${pid}/limits`, 'utf8'))?.[1] ??
    '';

  it('no core is dumped, to a file or to a reporter', async () => {
    const pid = server.process.pid ?? 0;
    expect((await limitsOf(pid)).split(/ +/)).toEqual(['0', '0']);
    expect((await readFile(`/proc/${pid}/coredump_filter`, 'utf8')).trim()).toMatch(/^0+$/);
  });

  it('no debugger is opened by a signal that rotates the logs of others', async () => {
    process.kill(server.process.pid ?? 0, 'SIGUSR1');
    expect((await curl(uploader, `${server.url}/v1/status`)).status).toBe(200);
    expect(server.output()).not.toMatch(/debugger/i);
  });

  it('no secret is seen: log, answers, audit, process table, configuration, welcome', async () => {
    const texts = new Map<string, string>();
    for (const path of ['/v1/nothing', '/certs/server.key', '/v1/keys', '/v1/status', '/metrics']) {
      texts.set(path, (await curl(uploader, `${server.url}${path}`)).body);
    }
    const show = async (...words: string[]): Promise<void> => {
      const { stdout, stderr } = await runAptkeep([...words, '--data', data, '--json'], env);
      texts.set(words.join(' '), stdout + stderr);
    };
    await show('config', 'show');
    await show('audit');
    await show('status');
    await show('key', 'show');
    texts.set('what the server said', server.output());
    const seen = await readFile(tables, 'utf8');
    texts.set('the process table', seen);
    // It was looked at while the server and a signer ran.
    expect(seen).toContain('src/main.ts serve');
    expect(seen).toMatch(/gpg --batch --armor .* --clearsign/);
    expect(texts.get('config show')).toContain('signer.openpgp');
    const key = await succeed('openssl', [
      ...['pkey', '-in', join(data, 'certs/server.key')],
      ...['-passin', `file:${join(scratch, 'passphrase')}`],
    ]);
    const secrets = [WORD, PIN, 'PRIVATE KEY', ...key.split('\n').slice(1, -2)];
    for (const [name, text] of texts) {
      expect(text.length, name).toBeGreaterThan(20);
      expect(
        secrets.filter((secret) => text.includes(secret)),
        name,
      ).toEqual([]);
    }
  });
});

describe('a signer that is gone', () => {
  const gone = join(scratch, 'gone');

  it('refuses an upload whole, keeps the door open, and is missed no longer when it is back', async () => {
    const { port } = server;
    await server.stop();
    const line = `test ! -e ${gone} && ${env.APTKEEP_SIGNER_OPENPGP}`;
    const crlLine = `test ! -e ${gone} && ${clientKey?.command}`;
    server = await startServer({
      data,
      port,
      env: {
        ...env,
        APTKEEP_SIGNER_OPENPGP: `sh -c '${line} "$@"' sh`,
        APTKEEP_SIGNER_CLIENT_CA: crlLine,
      },
    });
    await writeFile(gone, '');
    const file = await buildSmall({ name: 'late', version: '1.0' }, scratch);
    const refused = await putFile(uploader, server.url, file);
    expect(refused).toMatchObject({ status: 503, reason: 'Signer failed' });
    expect(JSON.parse(refused.body).detail).not.toContain('/');
    expect((await host.root.aptGet('update')).status).toBe(0);
    const stolen = await issueWhileBack('stolen');
    const revoked = await runAptkeep(['cert', 'revoke', 'stolen', '--data', data]);
    expect(revoked.status).toBe(1);
    expect(revoked.stderr).toMatch(/^aptkeep: signer failed: revoked, and refused by this server/);
    const path = `${server.url}/dists/stable/InRelease`;
    expect((await curl(stolen, path)).reason).toBe('Certificate revoked');
    await succeed('rm', [gone]);
    expect((await putFile(uploader, server.url, file)).status).toBe(201);
    await waitFor('the list that names it', async () => {
      const crl = join(data, 'certs/crl.pem');
      const text = await succeed('openssl', ['crl', '-in', crl, '-noout', '-text']);
      const serial = await succeed('openssl', [
        ...['x509', '-in', stolen.certificate, '-noout', '-serial'],
      ]);
      return text.includes(serial.trim().split('=')[1] ?? '?') ? true : undefined;
    });
  });

  async function issueWhileBack(name: string): Promise<Client> {
    await succeed('rm', [gone]);
    const client = await issueClient(data, name, 'host');
    await writeFile(gone, '');
    return client;
  }
});
