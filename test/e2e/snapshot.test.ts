/**
 * apt 3's snapshots: a host of Debian 13 asks for the suite as it was at a time, over the same mutual
 * TLS, and gets it whole, also when the Release of then has run out and the key has been rotated.
 */

import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTrees, type Host, makeTree } from './chroot.ts';
import { type Outcome, waitFor } from './command.ts';
import { buildSmall, formatFields } from './packages.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import { curl, issueClient } from './site.ts';

const scratch = createTrees('snapshot');
const data = join(scratch, 'data');
const here = (...words: string[]): Promise<string> => aptkeep(...words, '--data', data);
let server: Server;
let host: Host;
/** The time of each version: then the suite listed it and nothing newer. */
const times = new Map<string, string>();

const STRICT = ['-o', 'APT::Update::Error-Mode=any'];
const tell = ({ status, stdout, stderr }: Outcome): string => `exit ${status}\n${stdout}${stderr}`;

async function expectDone(...words: string[]): Promise<string> {
  const said = tell(await host.run(...words));
  expect(said).toMatch(/^exit 0\n/);
  expect(said).not.toMatch(/^(W|E|Warning|Error): /m);
  return said;
}

/** Past the second of the last publication: a snapshot's name has no finer time. */
async function passSecond(): Promise<string> {
  const readSecond = (): string => new Date().toISOString().slice(0, 19);
  const start = readSecond();
  const next = await waitFor('another second', () => {
    const second = readSecond();
    return second === start ? undefined : second;
  });
  return `${next.replace(/[-:]/g, '')}Z`;
}

async function release(version: string): Promise<void> {
  const file = await buildSmall({ name: 'hello-uni', version }, join(scratch, 'packages'));
  await here('upload', file, '--suite', 'stable');
  times.set(version, await passSecond());
}

const timeOf = (version: string): string => times.get(version) ?? '';

beforeAll(async () => {
  await aptkeep('init', '--data', data, '--name', 'Uni');
  times.set('before', await passSecond());
  server = await startServer({ data });
  await here('suite', 'set', 'stable', '--snapshots');
  await release('1.0');
  await release('1.1');
  await here('package', 'remove', 'hello-uni=1.0', '--suite', 'stable');
  host = await (await makeTree(scratch, 'trixie')).unpack('host');
  await host.write('/root/kit.sh', await here('host', 'add', 'web'));
  await expectDone('sh', '/root/kit.sh');
  // Debian's own snapshots are elsewhere, and not asked for here.
  await host.shell('rm -f /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources');
}, 300_000);

const listVersions = async (...words: string[]): Promise<string[]> => {
  const policy = await host.shell(`apt-cache ${words.join(' ')} madison hello-uni`);
  return [...new Set([...policy.matchAll(/\| *(\S+) \|/g)].map((match) => match[1] ?? ''))].sort();
};

describe('a snapshot', () => {
  it('is what the suite listed then, and installs from there', async () => {
    await expectDone('apt-get', 'update', ...STRICT);
    expect(await listVersions()).toEqual(['1.1']);
    const at = ['-S', timeOf('1.0')];
    await expectDone('apt-get', 'update', ...STRICT, ...at);
    expect(await listVersions(...at)).toContain('1.0');
    const said = await expectDone('apt-get', 'install', '-y', ...at, 'hello-uni=1.0');
    expect(said).toContain(`/snapshots/${timeOf('1.0')} stable/main`);
    expect(await host.shell(`dpkg-query -W -f '${formatFields('Version')}' hello-uni`)).toBe('1.0');
  });

  it('is left for what there is now, and a rollback takes the host back by a plain upgrade', async () => {
    const upgrade = async (): Promise<string> => {
      await expectDone('apt-get', 'update', ...STRICT);
      await expectDone('apt-get', '-y', 'upgrade');
      return host.shell(`dpkg-query -W -f '${formatFields('Version')}' hello-uni`);
    };
    expect(await upgrade()).toBe('1.1');
    const { publications } = JSON.parse(await here('publication', 'list', 'stable', '--json')) as {
      publications: { number: number; reason: string }[];
    };
    const found = publications.find((one) => one.reason.startsWith('add hello-uni 1.0 '));
    const to = String(found?.number);
    await here('publication', 'rollback', 'stable', '--to', to, '--reason', '1.1 is broken');
    expect(await upgrade()).toBe('1.0');
  });

  it('is signed by the keys of now, and valid though the Release of then is not', async () => {
    await here('key', 'rotate');
    await expectDone('aptkeep-client', 'run');
    await here('key', 'rotate', '--finish', '--force');
    await expectDone('apt-get', 'update', ...STRICT);
    await expectDone('apt-get', 'update', ...STRICT, '-S', timeOf('1.0'));
  });

  it('is there for who may read the suite, from its first publication until now', async () => {
    const reader = await issueClient(data, 'reader', 'host');
    const narrow = await issueClient(data, 'narrow', 'host');
    await here('suite', 'create', 'other', '--origin', 'Uni', '--label', 'Uni');
    await here('group', 'create', 'narrow', '--suites', 'other');
    await here('host', 'set', 'narrow', '--group', 'narrow');
    const ask = async (client: typeof reader, id: string, file = 'dists/stable/InRelease') =>
      (await curl(client, `${server.url}/snapshots/${id}/${file}`)).status;
    expect(await ask(reader, timeOf('1.1'))).toBe(200);
    expect(await ask(reader, timeOf('1.1'), 'dists/stable/main/binary-amd64/Packages.gz')).toBe(
      200,
    );
    expect(await ask(narrow, timeOf('1.1'))).toBe(403);
    expect(await ask(narrow, timeOf('1.1'), 'dists/stable/main/binary-amd64/Packages.gz')).toBe(
      403,
    );
    const deb = 'pool/main/h/hello-uni/hello-uni_1.0_all.deb';
    expect(await ask(reader, timeOf('1.1'), deb)).toBe(200);
    expect(await ask(narrow, timeOf('1.1'), deb)).toBe(403);
    for (const id of ['20000101T000000Z', '29990101T000000Z', '20260231T000000Z', 'yesterday']) {
      expect([id, await ask(reader, id)]).toEqual([id, 404]);
    }
    expect(await ask(reader, timeOf('1.1'), 'dists/stable/nothing')).toBe(404);
    expect(await ask(reader, timeOf('1.1'), 'certs/client-ca.key')).toBe(404);
    expect(await ask(reader, timeOf('1.1'), 'dists/other/InRelease')).toBe(404);
    await here('suite', 'set', 'stable', '--no-snapshots');
    expect(await ask(reader, timeOf('1.1'))).toBe(404);
    expect(await server.stop()).toBe(0);
  });
});
