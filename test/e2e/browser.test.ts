/**
 * A person's browser: a bundle of `aptkeep cert issue --p12`, imported by NSS's own tool, used by the
 * real Chromium, refused once revoked.
 */
import { access, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanEnvironment, createScratch, run, succeed } from './command.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import { type Client, issueClient, remoteFlags } from './site.ts';

const CHROMIUM_FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // The machine's own names and nothing else: no request leaves it.
  '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost',
];
/** Chromium reads policies from /etc alone: this one is there for its own processes alone. */
const WITH_POLICY = `set -eu
mount -t tmpfs none /etc/chromium
mkdir -p /etc/chromium/policies/managed
printf '%s' "$1" > /etc/chromium/policies/managed/aptkeep.json
shift
exec chromium "$@"`;
/** Where several certificates would do, a person is asked; nobody is there to answer. */
const POLICY = JSON.stringify({
  AutoSelectCertificateForUrls: [JSON.stringify({ pattern: 'https://localhost', filter: {} })],
});

const scratch = createScratch('browser');
const data = join(scratch, 'data');
const home = join(scratch, 'home');
const database = `sql:${join(home, '.pki/nssdb')}`;
let server: Server;
let admin: Client;
let profiles = 0;

/** What Chromium shows of a page, as HTML; each time with a profile that remembers nothing. */
async function browse(path: string): Promise<string> {
  profiles += 1;
  const profile = `--user-data-dir=${join(scratch, `profile-${profiles}`)}`;
  const namespace = process.getuid?.() === 0 ? '--mount' : '--user --map-root-user --mount';
  const words = [...CHROMIUM_FLAGS, profile, '--dump-dom', `${server.url}${path}`];
  const { stdout } = await run(
    'unshare',
    [...namespace.split(' '), 'sh', '-c', WITH_POLICY, 'sh', POLICY, ...words],
    { env: { ...cleanEnvironment(), HOME: home } },
  );
  return stdout;
}

beforeAll(async () => {
  server = await startServer({ data });
  admin = await issueClient(data, 'root', 'admin');
  await mkdir(join(home, '.pki/nssdb'), { recursive: true });
  await succeed('certutil', ['-N', '-d', database, '--empty-password']);
  const authority = ['-n', 'server CA', '-t', 'C,,', '-i', admin.ca];
  await succeed('certutil', ['-A', '-d', database, ...authority]);
});

describe('a browser', () => {
  it('sees nothing without a certificate', async () => {
    expect(await browse('/v1/status')).not.toContain('health');
  });

  it('sees the status once the bundle is imported, and why not once it is revoked', async () => {
    const folder = join(scratch, 'anna');
    const words = ['cert', 'issue', 'anna', '--role', 'observer', '--out', folder, '--p12'];
    const from = remoteFlags(admin, server.url);
    const { password } = JSON.parse(await aptkeep(...words, '--json', ...from));
    await writeFile(join(scratch, 'password'), `${password}\n`, { mode: 0o600 });
    const bundle = ['-i', join(folder, 'anna.p12'), '-w', join(scratch, 'password')];
    await succeed('pk12util', ['-d', database, ...bundle]);
    const listed = await succeed('certutil', ['-L', '-d', database]);
    expect(listed).toMatch(/^anna \(aptkeep\) +u,u,u *$/m);
    expect(listed).toMatch(/client CA 1.* ,, *$/m);
    expect(await browse('/v1/status')).toContain('{"health":"ok","door":"open"');
    await aptkeep('cert', 'revoke', 'anna', ...from);
    const refused = await browse('/v1/status');
    expect(refused).toContain('"status":403,');
    expect(refused).toContain('"title":"Certificate revoked"');
    expect(refused).not.toContain('health');
  });

  it('leaves nothing of its policy on this machine', async () => {
    await expect(access('/etc/chromium/policies/managed/aptkeep.json')).rejects.toThrow('ENOENT');
  });
});
