/**
 * A suite that asks for everything, and the programs for which it does: apt with by-hash under
 * SHA512, apt-cache with a description from Translation-en, apt-file with Contents, debmirror with
 * MD5sum. Source: apt-get(8), apt-cache(8), apt-file(1), debmirror(1).
 */

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import { request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, type Outcome, run, succeed } from './command.ts';
import { aptkeep, type Server, startServer } from './program.ts';
import { type Client, enrolHost, issueClient, putFile } from './site.ts';

const scratch = createScratch('asked-for');
const data = join(scratch, 'data');
const DESCRIPTION = ['does something', ' It says so at length,', ' .', ' naïvely.'];
let server: Server;
let uploader: Client;
let host: { client: Client; root: AptRoot };
let proxy: HttpServer;

/** Of Architecture all, with a section, a long description and these files. */
async function build(name: string, version: string, files: readonly string[]): Promise<string> {
  const tree = await mkdtemp(join(scratch, 'tree-'));
  await mkdir(join(tree, 'DEBIAN'));
  for (const file of files) {
    await mkdir(join(tree, file, '..'), { recursive: true });
    await writeFile(join(tree, file), `${file}\n`);
  }
  const control = [
    `Package: ${name}`,
    `Version: ${version}`,
    'Architecture: all',
    'Section: web',
    'Maintainer: Test <test@aptkeep.example>',
    `Description: ${DESCRIPTION.join('\n')}`,
  ];
  await writeFile(join(tree, 'DEBIAN/control'), `${control.join('\n')}\n`);
  const file = join(scratch, `${name}_${version}_all.deb`);
  await succeed('dpkg-deb', ['--root-owner-group', '--build', tree, file]);
  await rm(tree, { recursive: true });
  return file;
}

async function upload(file: string): Promise<void> {
  const answer = await putFile(uploader, server.url, file);
  expect([answer.status, answer.body]).toEqual([201, expect.anything()]);
}

/** Something that has to succeed; what it said. */
async function succeedIn(outcome: Promise<Outcome>): Promise<string> {
  const { status, stdout, stderr } = await outcome;
  expect(`exit ${status}\n${stdout}${stderr}`).toMatch(/^exit 0\n/);
  return stdout;
}

/** debmirror knows no client certificate: it is given the repository in the clear, on loopback. */
async function openProxy(): Promise<HttpServer> {
  const { certificate, key, ca } = host.client;
  const [cert, secret, authority] = await Promise.all(
    [certificate, key, ca].map((file) => readFile(file)),
  );
  const opened = createServer((incoming, answer) => {
    const options = { cert, key: secret, ca: authority, method: incoming.method ?? 'GET' };
    const forwarded = request(`${server.url}${incoming.url}`, options, (response) => {
      answer.writeHead(response.statusCode ?? 502, response.headers);
      response.pipe(answer);
    });
    forwarded.on('error', () => answer.destroy());
    forwarded.end();
  });
  await new Promise<void>((resolve) => opened.listen(0, '127.0.0.1', resolve));
  return opened;
}

beforeAll(async () => {
  server = await startServer({ data });
  uploader = await issueClient(data, 'build-server', 'uploader');
  host = await enrolHost(data, 'web1', join(scratch, 'host'));
  await upload(await build('before', '1.0', ['usr/bin/before']));
  const asked = ['--translations', '--hashes', 'SHA512,MD5sum'];
  await aptkeep('suite', 'set', 'stable', ...asked, '--data', data);
  await upload(await build('tool', '1.0', ['usr/bin/tool', 'usr/share/tool/a b', 'etc/common']));
  await upload(await build('tool', '1.1', ['usr/bin/tool', 'usr/share/tool/c', 'etc/common']));
  await upload(await build('other', '1.0', ['etc/common']));
  proxy = await openProxy();
});
afterAll(() => {
  proxy.close();
});

describe('apt', () => {
  it('fetches by SHA512, and installs what it knows the SHA512 of', async () => {
    const options = ['-o', 'Debug::Acquire::https=true'];
    const { status, stdout, stderr } = await host.root.aptGet(...options, 'update');
    expect(`exit ${status}\n${stdout}${stderr}`).toMatch(/^exit 0\n/);
    const said = stdout + stderr;
    expect(said).toMatch(/main\/binary-amd64\/by-hash\/SHA512\/[0-9a-f]{128}/);
    expect(said).toMatch(/main\/i18n\/by-hash\/SHA512\/[0-9a-f]{128}/);
    const shown = await succeedIn(host.root.run('apt-cache', 'show', 'tool=1.1'));
    expect(shown).toMatch(/^SHA512: [0-9a-f]{128}$/m);
    await succeedIn(host.root.aptGet('install', 'tool', 'before'));
    expect(await host.root.listInstalled()).toEqual(
      new Map([
        ['tool', '1.1'],
        ['before', '1.0'],
      ]),
    );
  });

  it('shows the long description of every version, from before and from after', async () => {
    for (const name of ['before', 'tool=1.0', 'tool=1.1', 'other']) {
      const shown = await succeedIn(host.root.run('apt-cache', 'show', name));
      expect(shown).toContain(`Description-en: ${DESCRIPTION.join('\n')}\n`);
    }
    const index = await succeedIn(
      run('curl', [
        ...['--silent', '--fail', '--cacert', host.client.ca, '--cert', host.client.certificate],
        ...['--key', host.client.key, `${server.url}/dists/stable/main/binary-amd64/Packages`],
      ]),
    );
    expect(index).not.toContain('at length');
    const search = await succeedIn(host.root.run('apt-cache', 'search', 'at length'));
    expect(search.split('\n').filter((line) => line !== '')).toHaveLength(3);
  });
});

describe('apt-file', () => {
  const lines = (text: string): string[] =>
    text
      .split('\n')
      .filter((line) => line !== '')
      .sort();

  beforeAll(async () => {
    const configuration = await readFile('/etc/apt/apt.conf.d/50apt-file.conf', 'utf8');
    await host.root.install('/etc/apt/apt.conf.d/50apt-file.conf', configuration);
    await succeedIn(host.root.run('apt-file', 'update'));
  });

  it('finds the packages of a file, each once, though no line is in order', async () => {
    const found = await succeedIn(host.root.run('apt-file', 'search', '/etc/common'));
    expect(lines(found)).toEqual(['other: /etc/common', 'tool: /etc/common']);
    const bin = await succeedIn(host.root.run('apt-file', 'search', 'bin/before'));
    expect(lines(bin)).toEqual(['before: /usr/bin/before']);
  });

  it('lists the files of a package', async () => {
    const listed = await succeedIn(host.root.run('apt-file', 'list', 'tool'));
    expect(lines(listed)).toEqual([
      'tool: /etc/common',
      'tool: /usr/bin/tool',
      'tool: /usr/share/tool/a b',
      'tool: /usr/share/tool/c',
    ]);
  });
});

describe('debmirror', () => {
  it('mirrors the suite, every file checked against its sums', async () => {
    const { port } = proxy.address() as AddressInfo;
    const mirror = join(scratch, 'mirror');
    const said = await succeedIn(
      run('debmirror', [
        ...['--method=http', `--host=127.0.0.1:${port}`, '--root=/', '--dist=stable'],
        ...['--section=main', '--arch=amd64', '--nosource', '--getcontents', '--i18n'],
        ...['--rsync-extra=none', '--checksums', '--no-check-gpg', '--verbose', mirror],
      ]),
    );
    expect(said).not.toMatch(/(error|mismatch|failed)/i);
    const release = await readFile(join(mirror, 'dists/stable/Release'), 'utf8');
    expect(release.match(/^(MD5Sum|SHA256|SHA512):$/gm)).toEqual(['MD5Sum:', 'SHA256:', 'SHA512:']);
    for (const name of ['before_1.0', 'tool_1.0', 'tool_1.1', 'other_1.0']) {
      const folder = name.split('_')[0] ?? '';
      const path = join('pool/main', folder[0] ?? '', folder, `${name}_all.deb`);
      const mirrored = await readFile(join(mirror, path));
      expect(mirrored.equals(await readFile(join(data, path)))).toBe(true);
    }
  });
});
