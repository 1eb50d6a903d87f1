/**
 * Both CAs and the signing key rotated under a real host: its client brings what is new by itself,
 * status says when nobody depends on the old any more, and after the end apt goes on as before. A
 * host without the client is what the end waits for.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTrees, type Host, makeTree } from './chroot.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';

interface Rotation {
  what: string;
  followers: string[];
}

const scratch = createTrees('rotation');
const data = join(scratch, 'data');
let server: Server;
let host: Host;

const listRotations = async (): Promise<Rotation[]> => {
  const status = await aptkeep('status', '--json', '--data', data);
  return (JSON.parse(status) as { rotations: Rotation[] }).rotations;
};

/** A real update, all of it fetched anew. */
async function update(): Promise<void> {
  await host.shell('rm -rf /var/lib/apt/lists/*_dists_stable_*');
  const outcome = await host.run('apt-get', 'update', '-o', 'APT::Update::Error-Mode=any');
  expect([outcome.status, outcome.stdout + outcome.stderr]).toEqual([0, expect.any(String)]);
  expect(outcome.stdout).toContain(`${server.url} stable InRelease`);
}

async function runClient(): Promise<string> {
  const { status, stdout, stderr } = await host.run('aptkeep-client', 'run');
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

const ROTATIONS = [
  ['client CA', ['ca', 'rotate', 'client']],
  ['server CA', ['ca', 'rotate', 'server']],
  ['signing key', ['key', 'rotate']],
] as const;

beforeAll(async () => {
  await aptkeep('init', '--data', data, '--name', 'Uni');
  server = await startServer({ data, env: { APTKEEP_WORKERS: '2' } });
  host = await (await makeTree(scratch, 'bookworm')).unpack('host');
  await host.write('/root/kit.sh', await aptkeep('host', 'add', 'web', '--data', data));
  const outcome = await host.run('sh', '/root/kit.sh');
  expect([outcome.status, outcome.stderr]).toEqual([0, expect.any(String)]);
});

describe('with a host that looks after itself', () => {
  it('all three are rotated at once, and the host goes on unchanged', async () => {
    for (const [, words] of ROTATIONS) await aptkeep(...words, '--data', data);
    expect(await listRotations()).toEqual(
      ROTATIONS.map(([what]) => expect.objectContaining({ what, followers: ['web'] })),
    );
    await update();
  });

  it('no end is made while the host depends on what would go', async () => {
    for (const [what, words] of ROTATIONS) {
      const outcome = await runAptkeep([...words, '--finish', '--data', data]);
      expect([what, outcome.status]).toEqual([what, 1]);
      expect(outcome.stderr).toMatch(/^aptkeep: .*1 would be locked out .*: web; --force/);
    }
    await update();
  });

  it('its client brings a certificate of the new CA, the new CA and the new key', async () => {
    const said = await runClient();
    expect(said).toContain('renewed the certificate of web');
    expect(said).toContain('installed the new CA');
    expect(said).toContain('installed the new keyring');
    expect(await listRotations()).toEqual(
      ROTATIONS.map(([what]) => expect.objectContaining({ what, followers: [] })),
    );
    const issuer = await host.shell('openssl x509 -noout -issuer -in /etc/apt/aptkeep/host.crt');
    expect(issuer).toContain('Uni client CA 2');
    await update();
    expect(await runClient()).toBe('');
  });

  it('the end of each leaves it working, and its client takes the old away', async () => {
    for (const [, words] of ROTATIONS) {
      await aptkeep(...words, '--finish', '--data', data);
      await update();
    }
    expect(await listRotations()).toEqual([]);
    await runClient();
    const count = "grep -c 'BEGIN CERTIFICATE' /etc/apt/aptkeep/ca.crt";
    expect(await host.shell(count)).toBe('1\n');
    await update();
  });

  it('and apt installs what is uploaded after', async () => {
    const file = await buildSmall({ name: 'after-all', version: '1.0' }, join(scratch, 'packages'));
    await aptkeep('upload', file, '--suite', 'stable', '--data', data);
    await update();
    const outcome = await host.run('apt-get', 'install', '-y', 'after-all');
    expect([outcome.status, outcome.stderr]).toEqual([0, expect.any(String)]);
  });
});
