/** The shell of kits and of the hosts' client, as shellcheck and dash read it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type AptSource, listAptFiles } from '../../src/fleet/apt-files.ts';
import { renderKit } from '../../src/fleet/kit.ts';
import { CHECKOUT } from '../e2e/command.ts';
import { listFiles } from '../e2e/site.ts';
import { readKitFile } from '../operations/kit-contents.ts';

const pem = (label: string): string => `-----BEGIN ${label}-----\nMIIB\n-----END ${label}-----\n`;

const SOURCE: AptSource = {
  host: 'web0',
  url: 'https://repo.example.org:8443',
  suites: [
    { name: 'stable', origin: "Uni's, * Example?", components: ['main'] },
    { name: 'testing', origin: "Uni's, * Example?", components: ['main', 'extra'] },
    { name: 'other', origin: 'Other', components: ['main'] },
  ],
  certificate: null,
  ca: pem('CERTIFICATE'),
  keyring: pem('PGP PUBLIC KEY BLOCK'),
};

const SECRETS = {
  certificate: pem('CERTIFICATE'),
  key: pem('PRIVATE KEY'),
  notBefore: Date.parse('2026-11-25T12:00:00Z'),
  notAfter: Date.parse('2026-11-25T13:00:00Z'),
};

const KIT = renderKit(SOURCE, listAptFiles(SOURCE, ''), SECRETS);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'aptkeep-kit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const check = (command: string, args: string[], input?: string): string => {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: CHECKOUT,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
  return `exit ${status}\n${stdout}${stderr}`;
};

describe('shellcheck and dash find nothing', () => {
  it('in a kit', () => {
    expect(check('shellcheck', ['-s', 'sh', '-'], KIT)).toBe('exit 0\n');
    expect(check('dash', ['-n'], KIT)).toBe('exit 0\n');
  });

  it.each([
    'debian/client/aptkeep-client',
    'debian/aptkeep-client.postinst',
    'debian/aptkeep-client.prerm',
    'debian/aptkeep-client.postrm',
  ])('in %s', (script) => {
    expect(check('shellcheck', ['-s', 'sh', script])).toBe('exit 0\n');
    expect(check('dash', ['-n', script])).toBe('exit 0\n');
  });
});

describe('a kit', () => {
  it('has every file that a host needs but those that are made there', () => {
    const files = listAptFiles(SOURCE, '');
    const open = files.filter((file) => file.content === null).map((file) => file.path);
    expect(open).toEqual(['/etc/apt/aptkeep/host.crt', '/etc/apt/aptkeep/host.key']);
    for (const { path, content } of files) {
      expect(readKitFile(KIT, path)).toEqual(content === null ? [] : [content]);
    }
    expect(readKitFile(KIT, 'enrolment.key')).toEqual([SECRETS.key]);
  });

  it('pins each origin once, with what apt takes for a pattern as any character', () => {
    const [pins = ''] = readKitFile(KIT, '/etc/apt/preferences.d/aptkeep');
    expect(pins.match(/^Pin: .*$/gm)).toEqual([
      "Pin: release o=Uni's? ? Example?",
      'Pin: release o=Other',
    ]);
    expect(pins.match(/^Pin-Priority: 1001$/gm)).toHaveLength(2);
  });

  it('names the suites that it pins where another one of their origin is not automatic', () => {
    const suite = (name: string, notAutomatic: boolean) => ({
      ...{ name, origin: 'Uni', components: ['main'], options: { notAutomatic } },
    });
    const suites = [suite('stable', false), suite('later', true)];
    const pins = listAptFiles({ ...SOURCE, suites }, '').find((file) =>
      file.path.endsWith('/preferences.d/aptkeep'),
    );
    expect(pins?.content?.match(/^Pin: .*$/gm)).toEqual(['Pin: release o=Uni,a=stable']);
  });

  it('does nothing until its last line', async () => {
    const lines = KIT.trimEnd().split('\n');
    expect(lines.at(-1)).toBe('main');
    const outcome = check('dash', ['-c', `cd "${folder}"; ${lines.slice(0, -1).join('\n')}`]);
    expect(outcome).toBe('exit 0\n');
    expect(await listFiles(folder)).toEqual([]);
  });
});

describe('the client', () => {
  const client = join(CHECKOUT, 'debian/client/aptkeep-client');

  it('explains itself', () => {
    expect(check('dash', [client, '--help'])).toMatch(
      /^exit 0\nUsage: aptkeep-client COMMAND\n[\s\S]*Example:\n {2}aptkeep-client status\n$/,
    );
  });

  it.each([[], ['frobnicate'], ['run', 'now'], ['renew', '--hard'], ['--help', 'me']])(
    'knows no %j %s',
    (...words) => {
      expect(check('dash', [client, ...words])).toMatch(/^exit 2\nUsage: /);
    },
  );
});
