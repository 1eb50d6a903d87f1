/**
 * Kits and the hosts' client on bare Debian hosts, each release in a chroot of its own: what `sh
 * kit.sh` makes of them, as apt's own user sees it, and what it leaves where it fails.
 */
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createGpgHome } from '../signing/gpg-home.ts';
import { createTrees, type Host, makeTree, type Release, type Tree } from './chroot.ts';
import { type Outcome, succeed } from './command.ts';
import { buildSmall, formatFields } from './packages.ts';
import { aptkeep, findFreePort, type Server, startServer } from './program.ts';

const RELEASES: readonly Release[] = ['bullseye', 'bookworm', 'trixie'];
const UPDATE = ['apt-get', 'update', '-o', 'APT::Update::Error-Mode=any'];
const FOLDER = '/etc/apt/aptkeep';

const scratch = createTrees('kit');
const data = join(scratch, 'data');
const trees = new Map<Release, Promise<Tree>>();
let server: Server;
let origin = '';
/** Of a key that has nothing to do with the server. */
let otherKeyring = '';

beforeAll(async () => {
  await aptkeep('init', '--data', data, '--name', 'Uni, Example');
  server = await startServer({ data });
  const packages = join(scratch, 'packages');
  for (const version of ['1.0', '1.1']) {
    const file = await buildSmall({ name: 'hello-uni', version }, packages);
    await aptkeep('upload', file, '--suite', 'stable', '--data', data);
  }
  origin = server.url;
  const gpg = await createGpgHome(join(scratch, 'gpg'));
  const stranger = await gpg.generate('Stranger', 'ed25519');
  otherKeyring = await readFile(await gpg.export('other.asc', true, stranger), 'utf8');
  await gpg.close();
}, 60_000);

/** Each release once, for whichever test comes first. */
function getTree(release: Release): Promise<Tree> {
  const tree = trees.get(release) ?? makeTree(scratch, release);
  trees.set(release, tree);
  return tree;
}

/** Makes a kit; flags go to `aptkeep host add`. */
const makeKit = (name: string, ...flags: string[]): Promise<string> =>
  aptkeep('host', 'add', name, ...flags, '--data', data);

/** `sh kit.sh` as a person types it there; `before` goes before it. */
async function runKit(host: Host, kit: string, ...before: string[]): Promise<Outcome> {
  await host.write('/root/kit.sh', kit);
  return host.run(...before, 'sh', '/root/kit.sh');
}

const versionOf = (name: string): string => `dpkg-query -W -f '${formatFields('Version')}' ${name}`;

/** What the outcome of a command was, for a message that says all of it. */
const tell = ({ status, stdout, stderr }: Outcome): string => `exit ${status}\n${stdout}${stderr}`;

async function expectDone(outcome: Promise<Outcome> | Outcome): Promise<string> {
  const said = tell(await outcome);
  expect(said).toMatch(/^exit 0\n/);
  return said;
}

interface Shown {
  certificates: { serial: string; role: string; status: string; supersededAt: string | null }[];
}
const showCertificates = async (name: string): Promise<Shown['certificates']> => {
  const shown = await aptkeep('cert', 'show', name, '--json', '--data', data);
  return (JSON.parse(shown) as Shown).certificates;
};

// Not setpriv: that of Debian 11 trips over the capabilities of a newer kernel.
const asApt = ['chroot', '--userspec=_apt:nogroup', '/'];
const asNobody = ['chroot', '--userspec=nobody:nogroup', '/'];

describe.each(RELEASES)('a bare host of %s', (release) => {
  let host: Host;
  let before = '';
  const name = `web-${release}`;

  beforeAll(async () => {
    host = await (await getTree(release)).unpack(`host-${release}`);
    before = await host.fingerprint('/etc');
  });

  it('is enrolled by sh kit.sh, and apt installs from the repository', async () => {
    const said = await expectDone(runKit(host, await makeKit(name)));
    expect(said).toContain(`aptkeep: ${name}: enrolled`);
    await expectDone(host.run(...UPDATE));
    await expectDone(host.run('apt-get', 'install', '-y', 'hello-uni'));
    const version = await host.shell(versionOf('hello-uni'));
    expect(version).toBe('1.1');
    expect(before).not.toContain('aptkeep');
  });

  it('has files that _apt reads, and a key that nobody else does', async () => {
    const files = ['ca.crt', 'host.crt', 'host.key'].map((file) => `${FOLDER}/${file}`);
    const lists = ['/etc/apt/keyrings/aptkeep.asc', '/etc/apt/sources.list.d/aptkeep.sources'];
    await expectDone(host.run(...asApt, 'cat', ...files, ...lists));
    const key = files[2] ?? '';
    expect((await host.run(...asNobody, 'cat', key)).status).toBe(1);
    expect(await host.shell(`stat -c '%U %a' ${key}`)).toBe('_apt 400\n');
    expect(await host.shell(`stat -c '%U %a' ${FOLDER}`)).toBe('root 755\n');
    // No secret of the kit stays behind.
    expect(await host.shell('ls /run | grep aptkeep || :')).toBe('');
  });

  it('prefers what the repository lists, whatever is installed', async () => {
    const policy = await host.shell('apt-cache policy hello-uni');
    expect(policy.match(/^ \**\s+1\.\d 1001$/gm)).toHaveLength(2);
    await expectDone(host.run('apt-get', 'install', '-y', 'hello-uni=1.0'));
  });

  it('has the client, whose timer is on, and has reported', async () => {
    const links = await host.shell('ls /etc/systemd/system/timers.target.wants');
    expect(links).toContain('aptkeep-client.timer\n');
    const shown = JSON.parse(await aptkeep('host', 'show', name, '--json', '--data', data));
    const hashes = await host.shell(
      `sha256sum <${FOLDER}/ca.crt; sha256sum </etc/apt/keyrings/aptkeep.asc`,
    );
    const client = await host.shell(versionOf('aptkeep-client'));
    expect([shown.client, shown.serverCa, shown.keyring]).toEqual([
      client,
      ...hashes
        .split('\n')
        .slice(0, 2)
        .map((line) => line.slice(0, 64)),
    ]);
  });

  it('does not renew before it is due, and renews when told to', async () => {
    const first = await host.read(`${FOLDER}/host.crt`);
    await expectDone(host.run('aptkeep-client', 'renew'));
    expect(await host.read(`${FOLDER}/host.crt`)).toBe(first);
    for (const _time of ['first', 'second']) {
      const said = await expectDone(host.run('aptkeep-client', 'renew', '--force'));
      expect(said).toContain(`renewed the certificate of ${name}`);
      const pair = await host.shell(
        `openssl x509 -noout -pubkey -in ${FOLDER}/host.crt; openssl pkey -pubout -in ${FOLDER}/host.key`,
      );
      const keys = pair.split(/(?<=-----END PUBLIC KEY-----\n)/);
      expect(keys[0]).toBe(keys[1]);
      await expectDone(host.run(...asApt, 'cat', `${FOLDER}/host.crt`, `${FOLDER}/host.key`));
      expect(await host.shell(`stat -L -c '%U %a' ${FOLDER}/host.key`)).toBe('_apt 400\n');
      await expectDone(host.run(...UPDATE));
    }
    expect(await host.read(`${FOLDER}/host.crt`)).not.toBe(first);
    const [newest, ...older] = (await showCertificates(name)).filter((one) => one.role === 'host');
    expect(newest).toMatchObject({ status: 'valid', supersededAt: null });
    expect(older.map((one) => one.supersededAt === null)).toEqual([false, false]);
    expect(await host.shell(`ls -d ${FOLDER}/pair.*`)).toMatch(/^\S+\n$/);
  });

  it('renews by itself once its certificate was renewed elsewhere', async () => {
    const keys = ['host.crt', 'host.key'].map((file) => `cp ${FOLDER}/${file} /root/old-${file}`);
    await host.shell(keys.join('; '));
    await expectDone(host.run('aptkeep-client', 'renew', '--force'));
    const back = 'cat /root/old-host.crt >"$1/host.crt"; cat /root/old-host.key >"$1/host.key"';
    await host.shell(`set -- ${FOLDER}; ${back}`);
    expect(await expectDone(host.run('aptkeep-client', 'run'))).toContain('renewed');
    await expectDone(host.run(...UPDATE));
  });

  it('says of itself how it stands', async () => {
    const said = await expectDone(host.run('aptkeep-client', 'status'));
    expect(said).toContain(name);
    expect(said).toContain(origin);
  });

  it('takes no keyring but one signed by what it has', async () => {
    const path = '/etc/apt/keyrings/aptkeep.asc';
    const current = await host.read(path);
    for (const other of [otherKeyring, 'an older one\n']) {
      await host.write(path, other);
      const { status, stderr } = await host.run('aptkeep-client', 'run');
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /is signed by no key of .*; the old one stays\n.* host add .* --again/,
      );
      expect(await host.read(path)).toBe(other);
    }
    await host.write(path, `${current}\n`);
    expect(await expectDone(host.run('aptkeep-client', 'run'))).toContain('new keyring');
    expect(await host.read(path)).toBe(current);
  });

  it('goes on without its client, when that is purged', async () => {
    await expectDone(host.run('dpkg', '--purge', 'aptkeep-client'));
    expect(await host.shell('ls /etc/cron.d/aptkeep-client 2>/dev/null || :')).toBe('');
    expect(await host.shell('ls /etc/systemd/system/timers.target.wants')).not.toContain('aptkeep');
    await expectDone(host.run(...UPDATE));
    await expectDone(host.run('apt-get', 'install', '-y', 'aptkeep-client'));
  });
});

describe('what the repository hands out new', () => {
  let host: Host;
  const onServer = join(data, 'certs/server-ca.crt');
  const aside = join(scratch, 'server-ca.crt');

  beforeAll(async () => {
    host = await (await getTree('bookworm')).unpack('host-trust');
    await expectDone(runKit(host, await makeKit('trusting')));
    await copyFile(onServer, aside);
  });

  /** A self-signed CA of another key. */
  const makeAuthority = async (): Promise<string> => {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const out = ['-keyout', join(scratch, 'other.key'), '-days', '30', '-subj', '/CN=other CA'];
    return succeed('openssl', ['req', '-x509', ...key, ...out]);
  };

  it('is installed: a second CA beside the first, and reported', async () => {
    const both = (await readFile(aside, 'utf8')) + (await makeAuthority());
    await writeFile(onServer, both);
    expect(await expectDone(host.run('aptkeep-client', 'run'))).toContain('installed the new CA');
    expect(await host.read(`${FOLDER}/ca.crt`)).toBe(both);
    expect(await host.shell(`stat -c '%U %a' ${FOLDER}/ca.crt`)).toBe('root 644\n');
    await expectDone(host.run(...UPDATE));
    const shown = JSON.parse(await aptkeep('host', 'show', 'trusting', '--json', '--data', data));
    const hash = await host.shell(`sha256sum <${FOLDER}/ca.crt`);
    expect(shown.serverCa).toBe(hash.slice(0, 64));
  });

  it.each([
    ['that the server does not pass itself', makeAuthority, 'does not pass its own new CA'],
    ['that is no certificate', async () => 'please\n', 'is no certificate'],
    ['that is empty', async () => '', 'is no certificate'],
  ])('is not installed: a CA %s', async (_what, make, said) => {
    const before = await host.fingerprint(FOLDER);
    await writeFile(onServer, await make());
    const outcome = await host.run('aptkeep-client', 'run');
    await copyFile(aside, onServer);
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringContaining(said)]);
    expect(await host.fingerprint(FOLDER)).toBe(before);
  });

  it('is installed: a keyring other than the one that is there', async () => {
    const path = '/etc/apt/keyrings/aptkeep.asc';
    const current = await host.read(path);
    // With the same key.
    await host.write(path, `${current}\n`);
    expect(await expectDone(host.run('aptkeep-client', 'run'))).toContain('new keyring');
    expect(await host.read(path)).toBe(current);
    expect(await host.shell(`stat -c '%U %a' ${path}`)).toBe('root 644\n');
    await expectDone(host.run(...UPDATE));
  });

  it('is nothing where the server is away, and that is said', async () => {
    await host.shell(`sed -i 's/:[0-9]*$/:${await findFreePort()}/' /etc/aptkeep/client.conf`);
    const before = await host.fingerprint('/etc');
    const outcome = await host.run('aptkeep-client', 'run');
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringMatching(/onnect/)]);
    expect(await host.fingerprint('/etc')).toBe(before);
    await host.shell(`sed -i 's/:[0-9]*$/:${server.port}/' /etc/aptkeep/client.conf`);
  });

  it('is asked for in vain with a certificate that was revoked', async () => {
    await aptkeep('cert', 'revoke', 'trusting', '--data', data);
    const outcome = await host.run('aptkeep-client', 'run');
    expect([outcome.status, outcome.stderr]).toEqual([1, expect.stringMatching(/is revoked/)]);
  });

  it('is not asked for with one that ended: a new kit is', async () => {
    const template = join(scratch, 'ended.cfg');
    const dates = 'activation_date = "2020-01-01"\nexpiration_date = "2020-02-01"\n';
    await writeFile(template, `cn = "trusting"\n${dates}`);
    const key = join(scratch, 'ended.key');
    await succeed('certtool', ['--generate-privkey', '--key-type=ecdsa', '--outfile', key]);
    const flags = ['--generate-self-signed', '--load-privkey', key, '--template', template];
    await host.write('/root/ended.crt', await succeed('certtool', flags));
    await host.shell(`cat /root/ended.crt >${FOLDER}/host.crt`);
    for (const command of ['run', 'renew', 'status']) {
      const outcome = await host.run('aptkeep-client', command);
      expect([command, outcome.status]).toEqual([command, 1]);
      expect(outcome.stderr).toContain('aptkeep host add trusting --again');
    }
  });

  it('comes with another kit', async () => {
    await expectDone(runKit(host, await makeKit('trusting', '--again')));
    await expectDone(host.run(...UPDATE));
    await expectDone(host.run('aptkeep-client', 'run'));
  });
});

describe('a kit that fails says why and leaves the host as it was', () => {
  let host: Host;
  let count = 0;

  beforeAll(async () => {
    host = await (await getTree('bookworm')).unpack('host-failing');
  });

  const nextKit = (): Promise<string> => {
    count += 1;
    return makeKit(`failing-${count}`);
  };

  /** Where a kit may leave something. */
  const look = async (): Promise<string> =>
    [
      await host.fingerprint('/etc'),
      // apt's own come with its first update.
      await host.shell('ls -A /run /tmp /var/lib/apt/lists | grep -v -e lock -e auxfiles'),
      await host.shell(`dpkg-query -W -f '${formatFields('Package', 'Status')}\\n'`),
    ].join('\n');

  async function expectFailure(run: () => Promise<Outcome>, why: RegExp): Promise<void> {
    const before = await look();
    const outcome = await run();
    expect(tell(outcome)).toMatch(/^exit [1-9]/);
    expect(outcome.stderr).toMatch(why);
    expect(outcome.stderr).not.toContain('PRIVATE KEY');
    expect(await look()).toBe(before);
  }

  const edit = (kit: string, from: string | RegExp, to: string): string => {
    const edited = kit.replace(from, to);
    if (edited === kit) throw new Error(`the kit has no ${from}`);
    return edited;
  };

  it('who runs it is not root', async () => {
    const kit = await nextKit();
    await host.write('/tmp/kit.sh', kit);
    await host.shell('chmod 644 /tmp/kit.sh');
    const run = () => host.run(...asNobody, 'sh', '/tmp/kit.sh');
    await expectFailure(run, /run this as root/);
    await host.shell('rm /tmp/kit.sh');
  });

  it.each(['curl', 'openssl'])('%s is missing', async (tool) => {
    const kit = await nextKit();
    const [away, back] = [`mv /usr/bin/${tool} /usr/bin/x`, `mv /usr/bin/x /usr/bin/${tool}`];
    await host.shell(away);
    const run = () => runKit(host, kit);
    await expectFailure(run, new RegExp(`${tool} is missing`)).finally(() => host.shell(back));
  });

  it.each([
    ['behind', /^not_before=\d+$/m, 'not_before=9999999999', /before this kit was made/],
    ['past the kit’s end', /^not_after=\d+$/m, 'not_after=1600000000', /was good until/],
  ])('the clock is %s', async (_what, from, to, why) => {
    const kit = edit(await nextKit(), from, to);
    await expectFailure(() => runKit(host, kit), why);
  });

  it('the server cannot be reached', async () => {
    const kit = edit(await nextKit(), /^url=.*$/m, `url=https://localhost:${await findFreePort()}`);
    await expectFailure(() => runKit(host, kit), /cannot be reached: .*onnect/);
  });

  it('the server is another one than the CA vouches for, which uses up no kit', async () => {
    const kit = await nextKit();
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const out = ['-keyout', join(scratch, 'foreign.key'), '-days', '30', '-subj', '/CN=foreign'];
    const foreign = await succeed('openssl', ['req', '-x509', ...key, ...out]);
    const wrong = edit(kit, /-----BEGIN CERTIFICATE-----[\s\S]*?END CERTIFICATE-----\n/, foreign);
    await expectFailure(() => runKit(host, wrong), /cannot be reached: .*certificate/);
    const certificates = await showCertificates(`failing-${count}`);
    expect(certificates.map((one) => one.status)).toEqual(['valid']);
  });

  it('it was used before, or another was made since', async () => {
    const other = await (await getTree('bookworm')).unpack('host-other');
    const kit = await nextKit();
    await expectDone(runKit(other, kit));
    await expectFailure(() => runKit(host, kit), /was used, .*--again/s);
    const void_ = await nextKit();
    await makeKit(`failing-${count}`, '--again');
    await expectFailure(() => runKit(host, void_), /is void .*--again/s);
  });

  it('apt-get update is refused', async () => {
    const kit = edit(await nextKit(), 'Suites: stable', 'Suites: nowhere');
    await expectFailure(
      () => runKit(host, kit),
      /nowhere[\s\S]*apt-get update failed[\s\S]*undoing/,
    );
  });

  it('the signature is of another key', async () => {
    const kit = edit(
      await nextKit(),
      /-----BEGIN PGP PUBLIC KEY BLOCK-----[\s\S]*?END PGP PUBLIC KEY BLOCK-----\n/,
      await aptkeepKeyOfAnother(),
    );
    await expectFailure(() => runKit(host, kit), /NO_PUBKEY[\s\S]*apt-get update failed/);
  });

  it('the client cannot be installed', async () => {
    const kit = edit(await nextKit(), /^package=.*$/m, 'package=nothing-such');
    await expectFailure(() => runKit(host, kit), /nothing-such[\s\S]*apt-get install .* failed/);
  });

  it('the client breaks off in the middle of its installation', async () => {
    const kit = await nextKit();
    await host.shell('mv /usr/bin/deb-systemd-helper /usr/bin/x');
    const broken = 'case $* in *was-enabled*) kill -9 $PPID ;; esac\n';
    await host.write('/usr/bin/deb-systemd-helper', `#!/bin/sh\n${broken}`);
    await host.shell('chmod 755 /usr/bin/deb-systemd-helper');
    const run = () => runKit(host, kit);
    await expectFailure(run, /apt-get install aptkeep-client failed/).finally(() =>
      host.shell('mv /usr/bin/x /usr/bin/deb-systemd-helper'),
    );
  });

  it('a file cannot be written', async () => {
    await host.shell('mv /etc/apt/preferences.d /root/; touch /etc/apt/preferences.d');
    const kit = await nextKit();
    await expectFailure(() => runKit(host, kit), /cannot (make the folder|write) .*preferences\.d/);
    await host.shell('rm /etc/apt/preferences.d; mv /root/preferences.d /etc/apt/');
  });

  it('it is broken off, at every place where a download may end', async () => {
    const kit = await nextKit();
    for (const part of [0.2, 0.5, 0.8, 0.99]) {
      const half = kit.slice(0, Math.floor(kit.length * part));
      const before = await look();
      await runKit(host, half);
      expect(await look()).toBe(before);
    }
    const certificates = await showCertificates(`failing-${count}`);
    expect(certificates.map((one) => one.status)).toEqual(['valid']);
  });

  it('the host was enrolled before, and stays so', async () => {
    await expectDone(runKit(host, await makeKit('settled')));
    await expectDone(host.run('aptkeep-client', 'renew', '--force'));
    const again = await makeKit('settled', '--again');
    const kit = edit(again, 'Suites: stable', 'Suites: nowhere');
    await expectFailure(() => runKit(host, kit), /apt-get update failed/);
    await expectDone(host.run(...UPDATE));
    await expectDone(host.run('aptkeep-client', 'run'));
  });
});

/** The armoured key of a repository that is not this one. */
async function aptkeepKeyOfAnother(): Promise<string> {
  const other = join(scratch, 'another');
  await mkdir(other);
  await aptkeep('init', '--data', other, '--name', 'Another');
  return aptkeep('key', 'export', '--armor', '--data', other);
}
