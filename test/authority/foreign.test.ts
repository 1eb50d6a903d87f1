/**
 * Lists of a site's own authorities: what is refused at the start, what replaces what, what stays
 * when a source is gone or turns bad. Made and verified by openssl and certtool.
 */
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { OpenedParts } from '../../src/compose.ts';
import { initialiseDirectory, openParts } from '../../src/compose.ts';
import { loadConfig } from '../../src/config.ts';
import { createLocalActor } from '../../src/http/socket.ts';
import { createLogger } from '../../src/log.ts';
import { perform } from '../../src/operations/perform.ts';
import type { SettingKey } from '../../src/settings.ts';
import { createScratch, run, succeed } from '../e2e/command.ts';
import { concatenate, createRoot, type ForeignAuthority, readSerial } from './foreign-pki.ts';

const scratch = createScratch('lists');
const silent = createLogger('silent');
type Settings = Partial<Record<SettingKey, string>>;

let base = '';
/** An initialised data directory to copy. */
let template = '';
let root: ForeignAuthority;
let below: ForeignAuthority;
let bundle = '';
const rules = { 'clientCa.roles': 'host: CN=*' };

beforeAll(async () => {
  base = join(scratch, 'pki');
  template = join(scratch, 'template');
  await initialiseDirectory(loadConfig({ data: template }, {}), silent);
  root = await createRoot(base, 'Root');
  below = await root.createBelow('Below');
  await root.publish();
  await below.publish();
  bundle = await concatenate(join(scratch, 'bundle.crt'), root.certificate, below.certificate);
});

let count = 0;
async function createData(): Promise<string> {
  count += 1;
  const data = join(scratch, `data-${count}`);
  await succeed('cp', ['-a', template, data]);
  return data;
}

const open = (data: string, settings: Settings, now?: () => number): Promise<OpenedParts> =>
  openParts(loadConfig({ data, settings }, {}), silent, now);

/** Opens with the lists read, as the server does when it starts. */
async function start(data: string, settings: Settings, now?: () => number): Promise<OpenedParts> {
  const parts = await open(data, settings, now);
  try {
    await parts.authority.foreign?.refresh();
    parts.authority.foreign?.checkComplete();
    return parts;
  } catch (error) {
    await parts.close();
    throw error;
  }
}

const refusalOf = async (settings: Settings): Promise<string> => {
  try {
    const parts = await start(await createData(), settings);
    await parts.close();
    return 'accepted';
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
};

describe('the start is refused with', () => {
  const lists = (): string => `${root.list},${below.list}`;
  const cases: [string, () => Promise<Settings> | Settings, string][] = [
    [
      'authorities without lists',
      () => ({ 'clientCa.certificates': bundle, ...rules }),
      'clientCa.crl: is needed',
    ],
    [
      'authorities without rules',
      () => ({ 'clientCa.certificates': bundle, 'clientCa.crl': lists() }),
      'clientCa.roles: is needed',
    ],
    [
      'rules without authorities',
      () => rules,
      'clientCa.roles: means nothing without clientCa.certificates',
    ],
    [
      'lists without authorities',
      () => ({ 'clientCa.crl': lists() }),
      'clientCa.crl: means nothing',
    ],
    [
      'a bundle that is not there',
      () => ({ 'clientCa.certificates': 'nothing.pem', 'clientCa.crl': lists(), ...rules }),
      'clientCa.certificates: nothing.pem cannot be read (ENOENT)',
    ],
    [
      'a bundle of a key',
      () => ({ 'clientCa.certificates': root.key, 'clientCa.crl': lists(), ...rules }),
      'holds no certificate in PEM',
    ],
    [
      'a leaf in the bundle',
      async () => {
        const leaf = await below.issue({ subject: '/CN=web' });
        const file = await concatenate(join(scratch, 'leaf.crt'), bundle, leaf.certificate);
        return { 'clientCa.certificates': file, 'clientCa.crl': lists(), ...rules };
      },
      'clientCa.certificates: web is no authority',
    ],
    [
      'an authority twice',
      async () => {
        const file = await concatenate(join(scratch, 'twice.crt'), bundle, below.certificate);
        return { 'clientCa.certificates': file, 'clientCa.crl': lists(), ...rules };
      },
      'clientCa.certificates: Below occurs twice',
    ],
    [
      'an intermediate without its issuer',
      () => ({ 'clientCa.certificates': below.certificate, 'clientCa.crl': below.list, ...rules }),
      'clientCa.certificates: Below leads to Root, which is missing here',
    ],
    [
      'an authority that has expired',
      async () => {
        const old = await root.createBelow('Old', { from: -20, to: -1 });
        const file = await concatenate(join(scratch, 'old.crt'), root.certificate, old.certificate);
        return { 'clientCa.certificates': file, 'clientCa.crl': root.list, ...rules };
      },
      'clientCa.certificates: Old expired on ',
    ],
    [
      'an authority of a weak key',
      async () => {
        const weak = await createRoot(base, 'Weak', { key: 'RSA-1024' });
        await weak.publish();
        return { 'clientCa.certificates': weak.certificate, 'clientCa.crl': weak.list, ...rules };
      },
      'clientCa.certificates: Weak has a key that is RSA of 1024 bits',
    ],
    [
      'an authority deeper than its root allows',
      async () => {
        const short = await createRoot(base, 'Short', { subject: '/CN=Short' });
        await writeFile(
          join(short.folder, 'own.ext'),
          'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n',
        );
        await succeed(
          'openssl',
          [
            'x509',
            '-req',
            '-in',
            'ca.csr',
            '-signkey',
            'ca.key',
            '-days',
            '9',
            '-extfile',
            'own.ext',
            '-out',
            'ca.crt',
          ],
          { cwd: short.folder },
        );
        const deep = await short.createBelow('Deep');
        const file = await concatenate(
          join(scratch, 'deep.crt'),
          short.certificate,
          deep.certificate,
        );
        return { 'clientCa.certificates': file, 'clientCa.crl': short.list, ...rules };
      },
      'clientCa.certificates: Deep stands deeper below Short than its path length allows',
    ],
    [
      'an authority without a list',
      () => ({ 'clientCa.certificates': bundle, 'clientCa.crl': root.list, ...rules }),
      'clientCa.crl: there is no revocation list of Below: no source has one',
    ],
    [
      'a list that is not there',
      () => ({
        'clientCa.certificates': bundle,
        'clientCa.crl': `${root.list},gone.pem`,
        ...rules,
      }),
      'clientCa.crl: there is no revocation list of Below: gone.pem: there is no such file',
    ],
    [
      'an empty list',
      async () => {
        await writeFile(join(scratch, 'empty.pem'), '');
        return {
          'clientCa.certificates': bundle,
          'clientCa.crl': `${root.list},${join(scratch, 'empty.pem')}`,
          ...rules,
        };
      },
      'there is no revocation list of Below: empty.pem: No revocation list found',
    ],
    [
      'a rule that cannot be read',
      () => ({
        'clientCa.certificates': bundle,
        'clientCa.crl': lists(),
        'clientCa.roles': 'hots: CN=*',
      }),
      'clientCa.roles: rule 1, "hots: CN=*": hots is no role',
    ],
    [
      'a password in an address',
      () => ({ 'clientCa.certificates': bundle, 'clientCa.crl': 'http://a:b@x/', ...rules }),
      'clientCa.crl: found "http://a:b@x/"',
    ],
    [
      'a directory service',
      () => ({ 'clientCa.certificates': bundle, 'clientCa.crl': 'ldap://x/', ...rules }),
      'clientCa.crl: found "ldap://x/"',
    ],
  ];
  it.each(cases)('%s', async (_name, settings, why) => {
    const refused = await refusalOf(await settings());
    expect(refused).toContain(`CONFIG_INVALID: ${why.startsWith('clientCa') ? why : ''}`);
    expect(refused).toContain(why);
  });

  it('nothing made of an empty folder', async () => {
    const { startDaemon } = await import('../../src/daemon.ts');
    const data = join(scratch, 'untouched');
    await mkdir(data);
    const config = loadConfig({ data, settings: { 'clientCa.crl': 'x' } }, {});
    await expect(startDaemon(config, silent)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await succeed('ls', ['-A', data])).toBe('');
  });
});

describe('a list in a file', () => {
  let authority: ForeignAuthority;
  let file = '';
  let parts: OpenedParts;
  let data = '';
  const numbers = (): (number | undefined)[] => [parts.authority.trust.crl?.number];
  const refresh = () => perform(parts, createLocalActor(), 'crl.refresh', {});
  const settings = (): Settings => ({
    'clientCa.certificates': authority.certificate,
    'clientCa.crl': file,
    ...rules,
  });

  beforeAll(async () => {
    authority = await createRoot(base, 'Filed');
    file = join(scratch, 'filed.pem');
    await copyFile(await authority.publish(), file);
    await copyFile(file, join(scratch, 'first.pem'));
    await copyFile(await authority.publish(), file);
    data = await createData();
    parts = await start(data, settings());
    expect(numbers()).toEqual([2]);
    return () => parts.close();
  });

  it('is taken when it is newer, in DER too', async () => {
    await authority.publish();
    await succeed('openssl', ['crl', '-in', authority.list, '-outform', 'DER', '-out', file]);
    const shown = await refresh();
    expect(numbers()).toEqual([3]);
    expect(shown.lists).toMatchObject([{ authority: 'Filed', number: 3, revoked: 0 }]);
    expect(shown.sources).toMatchObject([
      { source: 'filed.pem', fault: null, authorities: ['Filed'] },
    ]);
  });

  const changeByte = async (): Promise<void> => {
    await authority.publish();
    await succeed('openssl', ['crl', '-in', authority.list, '-outform', 'DER', '-out', file]);
    const bytes = await readFile(file);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 5) ^ 1, bytes.length - 5);
    await writeFile(file, bytes);
  };
  const publishTo = (options: Parameters<ForeignAuthority['publish']>[0]) => async () =>
    copyFile(await authority.publish(options), file);

  it.each<[string, () => Promise<unknown>, string]>([
    [
      'an older one',
      () => copyFile(join(scratch, 'first.pem'), file),
      'the list of Filed, number 1 of',
    ],
    ['garbage', () => writeFile(file, 'garbage'), 'No revocation list found'],
    ['nothing', () => writeFile(file, ''), 'No revocation list found'],
    [
      'a page of a web server',
      () => writeFile(file, '<html>404</html>'),
      'No revocation list found',
    ],
    [
      'the first half of one',
      async () => writeFile(file, (await readFile(await authority.publish())).subarray(0, 200)),
      'has no end',
    ],
    ['one byte changed', changeByte, 'its signature does not match'],
    [
      "another CA's",
      () => copyFile(below.list, file),
      'it is of none of the authorities in clientCa.certificates',
    ],
    [
      "another CA's of the same name",
      async () => copyFile(await (await createRoot(base, 'Filed')).publish(), file),
      'its signature does not match',
    ],
    ['a delta', publishTo({ extensions: 'delta' }), 'it is a delta list'],
    [
      'an unknown critical extension',
      publishTo({ extensions: 'critical' }),
      'it has an unknown critical extension, 1.2.3.4.5',
    ],
    ['the future', publishTo({ from: 1, to: 9 }), 'in the future'],
    ['no file', () => rm(file), 'there is no such file'],
  ])('stays in force when the file becomes %s', async (_name, change, why) => {
    const before = numbers();
    await change();
    await expect(refresh()).rejects.toMatchObject({ code: 'CRL_UNACCEPTABLE' });
    expect(numbers()).toEqual(before);
    expect(parts.authority.trust.isFresh(Date.now())).toBe(true);
    const shown = await perform(parts, createLocalActor(), 'crl.show', {});
    expect(shown.sources[0]?.fault).toContain(why);
    const status = await perform(parts, createLocalActor(), 'status.show', {});
    const clock = status.clocks.find((one) => one.name === 'reading of filed.pem');
    expect(clock?.state).toBe('error');
  });

  it('is taken again when the file is right again, and the fault is gone', async () => {
    await publishTo({})();
    await refresh();
    const shown = await perform(parts, createLocalActor(), 'crl.show', {});
    expect(shown.sources[0]?.fault).toBeNull();
    expect(numbers()[0]).toBeGreaterThan(3);
  });

  it('is remembered over a restart in which its source is gone, and no older one is taken', async () => {
    const kept = numbers();
    await parts.close();
    await rm(file);
    parts = await start(data, settings());
    expect(numbers()).toEqual(kept);
    await copyFile(join(scratch, 'first.pem'), file);
    await expect(refresh()).rejects.toMatchObject({ code: 'CRL_UNACCEPTABLE' });
    expect(numbers()).toEqual(kept);
    const pem = join(data, 'certs/foreign-crl.pem');
    const verdict = await run('openssl', [
      'crl',
      '-in',
      pem,
      '-noout',
      '-CAfile',
      authority.certificate,
    ]);
    expect(verdict.stderr.trim()).toBe('verify OK');
  });

  it('is read again when the schedule says so, sooner after a fault and near its end', async () => {
    let now = Date.now();
    await copyFile(await authority.publish(), file);
    const own = await start(
      await createData(),
      { ...settings(), 'clientCa.refresh': '1h' },
      () => now,
    );
    const { foreign, trust } = own.authority;
    expect(foreign?.due).toBe(now + 3_600_000);
    now = trust.nextUpdate - 60_000;
    await foreign?.refresh();
    expect(foreign?.due).toBe(now + 30_000);
    now -= 86_400_000;
    await writeFile(file, 'garbage');
    await foreign?.refresh();
    expect(foreign?.due).toBe(now + 30_000);
    await own.close();
  });
});

describe('lists without a number', () => {
  it('of version 1 are ordered by their date', async () => {
    const authority = await createRoot(base, 'Ancient');
    await authority.publish({ numbered: false, from: -2 });
    expect(await succeed('openssl', ['crl', '-in', authority.list, '-noout', '-text'])).toContain(
      'Version 1 (0x0)',
    );
    const file = join(scratch, 'ancient.pem');
    const first = join(scratch, 'ancient-1.pem');
    await copyFile(authority.list, file);
    await copyFile(authority.list, first);
    const parts = await start(await createData(), {
      'clientCa.certificates': authority.certificate,
      'clientCa.crl': file,
      ...rules,
    });
    const leaf = await authority.issue({ subject: '/CN=web' });
    await authority.revoke(leaf.certificate);
    await copyFile(await authority.publish({ numbered: false, from: -1 }), file);
    await parts.authority.foreign?.refresh();
    const { trust } = parts.authority;
    const [fingerprint = ''] = trust.authorities.map((one) => one.fingerprint);
    const serial = await readSerial(leaf.certificate);
    expect(trust.isRevoked(serial, fingerprint)).toBe(true);
    await copyFile(first, file);
    await parts.authority.foreign?.refresh();
    expect(parts.authority.foreign?.faults).toContain('is no newer than without a number');
    expect(trust.isRevoked(serial, fingerprint)).toBe(true);
    await parts.close();
  });
});

describe('several lists', () => {
  it('may stand in one file, and one that is bad does not stand in the way', async () => {
    const file = join(scratch, 'both.pem');
    await concatenate(file, root.list, below.list);
    const parts = await start(await createData(), {
      'clientCa.certificates': bundle,
      'clientCa.crl': file,
      ...rules,
    });
    expect(parts.authority.trust.crls).toHaveLength(2);
    const number = parts.authority.trust.crls[0]?.number ?? 0;
    await below.publish({ extensions: 'delta' });
    await concatenate(file, below.list, await root.publish());
    await parts.authority.foreign?.refresh();
    expect(parts.authority.foreign?.faults).toContain('delta');
    expect(parts.authority.trust.crls[0]?.number).toBe(number + 1);
    await below.publish();
    await parts.close();
  });

  it('come over HTTP too; while the server is down the last ones count', async () => {
    let isDown = false;
    const server = createServer((_request, response) => {
      if (isDown) response.writeHead(500).end('down');
      else readFile(below.list).then((bytes) => response.end(bytes));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/below.crl`;
    const settings = {
      'clientCa.certificates': bundle,
      'clientCa.crl': `${root.list},${url}`,
      ...rules,
    };
    const data = await createData();
    let parts = await start(data, settings);
    expect(parts.authority.trust.isFresh(Date.now())).toBe(true);
    isDown = true;
    await parts.authority.foreign?.refresh();
    expect(parts.authority.foreign?.faults).toBe(`${url}: answers 500`);
    await parts.close();
    parts = await start(data, settings);
    expect(parts.authority.trust.isFresh(Date.now())).toBe(true);
    await parts.close();
    server.close();
  });
});

describe('a list of a hundred thousand', () => {
  it('is read, and each of its entries counts', async () => {
    const authority = await createRoot(base, 'Huge');
    const entries = Array.from({ length: 100_000 }, (_entry, index) => {
      const serial = (0x10_0000 + index).toString(16).toUpperCase();
      return `R\t330101000000Z\t260101000000Z\t${serial}\tunknown\t/CN=h${index}`;
    });
    await writeFile(join(authority.folder, 'index.txt'), `${entries.join('\n')}\n`);
    await authority.publish();
    const parts = await start(await createData(), {
      'clientCa.certificates': authority.certificate,
      'clientCa.crl': authority.list,
      ...rules,
    });
    const { trust } = parts.authority;
    expect(trust.crl?.serials.size).toBe(100_000);
    const [fingerprint = ''] = trust.authorities.map((one) => one.fingerprint);
    expect(trust.isRevoked((0x10_0000 + 99_999).toString(16), fingerprint)).toBe(true);
    expect(trust.isRevoked((0x10_0000 + 100_000).toString(16), fingerprint)).toBe(false);
    await parts.close();
  });
});

describe('an authority that certtool made', () => {
  it('counts, and so does its list', async () => {
    const folder = join(scratch, 'gnutls');
    await mkdir(folder);
    const certtool = (...args: string[]) => succeed('certtool', args, { cwd: folder });
    const template =
      'cn = GnuTLS CA\nca\ncert_signing_key\ncrl_signing_key\nexpiration_days = 99\n';
    await writeFile(join(folder, 'ca.cfg'), template);
    await certtool(
      '--generate-privkey',
      '--key-type',
      'rsa',
      '--bits',
      '2048',
      '--outfile',
      'ca.key',
    );
    await certtool(
      '--generate-self-signed',
      '--load-privkey',
      'ca.key',
      '--template',
      'ca.cfg',
      '--outfile',
      'ca.crt',
    );
    await writeFile(
      join(folder, 'leaf.cfg'),
      'cn = web\ntls_www_client\nsigning_key\nexpiration_days = 9\n',
    );
    await certtool('--generate-privkey', '--key-type', 'ecdsa', '--outfile', 'leaf.key');
    const signer = ['--load-ca-certificate', 'ca.crt', '--load-ca-privkey', 'ca.key'];
    await certtool(
      '--generate-certificate',
      '--load-privkey',
      'leaf.key',
      ...signer,
      '--template',
      'leaf.cfg',
      '--outfile',
      'leaf.crt',
    );
    await writeFile(join(folder, 'crl.cfg'), 'crl_next_update = 9\ncrl_number = 5\n');
    await certtool('--generate-crl', ...signer, '--template', 'crl.cfg', '--outfile', 'crl.pem');
    const parts = await start(await createData(), {
      'clientCa.certificates': join(folder, 'ca.crt'),
      'clientCa.crl': join(folder, 'crl.pem'),
      ...rules,
    });
    const test = async () => {
      const pem = await readFile(join(folder, 'leaf.crt'), 'utf8');
      return perform(parts, createLocalActor(), 'certificate.test', { pem });
    };
    expect(await test()).toMatchObject({ admitted: true, role: 'host', name: 'web' });
    await writeFile(join(folder, 'crl.cfg'), 'crl_next_update = 9\ncrl_number = 6\n');
    await certtool(
      '--generate-crl',
      ...signer,
      '--load-certificate',
      'leaf.crt',
      '--template',
      'crl.cfg',
      '--outfile',
      'crl.pem',
    );
    await parts.authority.foreign?.refresh();
    expect(await test()).toMatchObject({ admitted: false, reason: 'revoked' });
    await parts.close();
  });
});

describe('our own authority', () => {
  it('is there again when the configuration names no other', async () => {
    const data = await createData();
    const settings = {
      'clientCa.certificates': bundle,
      'clientCa.crl': `${root.list},${below.list}`,
      ...rules,
    };
    const foreign = await start(data, settings);
    expect(foreign.authority.trust.authorities.map((one) => one.subject.commonName)).toEqual([
      'Root',
      'Below',
    ]);
    await foreign.close();
    const own = await open(data, {});
    expect(own.authority.trust.authorities.map((one) => one.subject.commonName)).toEqual([
      'aptkeep client CA 1',
    ]);
    expect(own.authority.trust.crl).toBeDefined();
    await own.close();
  });
});
