/**
 * An existing server certificate: what is refused at the start, what a broken replacement does, what
 * clients are given to pin. Certificates by openssl, verified by curl.
 */
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSite } from '../../src/authority/site.ts';
import { loadConfig } from '../../src/config.ts';
import { createLogger } from '../../src/log.ts';
import { createScratch, run, succeed } from '../e2e/command.ts';
import { type Client, curl } from '../e2e/site.ts';
import { ask, type IssuedClient, type Site, startSite } from '../http/start.ts';
import {
  CLIENT,
  concatenate,
  createRoot,
  type ForeignAuthority,
  type LeafOptions,
  SERVER,
} from './foreign-pki.ts';

const scratch = createScratch('site-certificate');
let root: ForeignAuthority;
let below: ForeignAuthority;

beforeAll(async () => {
  root = await createRoot(join(scratch, 'pki'), 'Web Root');
  below = await root.createBelow('Web Servers');
});

const wanted: LeafOptions = {
  subject: '/CN=repo',
  names: 'DNS:localhost,IP:127.0.0.1',
  extensions: SERVER,
};

interface Files {
  'server.certificate': string;
  'server.key': string;
  'server.ca': string;
}

/** The three files of a server, its chain with the intermediate. */
async function makeFiles(options: Partial<LeafOptions> = {}): Promise<Files> {
  const leaf = await below.issue({ ...wanted, ...options });
  const chain = await concatenate(
    join(leaf.folder, 'chain.crt'),
    leaf.certificate,
    below.certificate,
  );
  return { 'server.certificate': chain, 'server.key': leaf.key, 'server.ca': root.certificate };
}

const refusalOf = (settings: Partial<Files>): Promise<string> =>
  readSite(loadConfig({ data: scratch, settings }, {}), Date.now, createLogger('silent')).then(
    () => 'accepted',
    (error: Error & { code: string }) => `${error.code}: ${error.message}`,
  );

describe('the start is refused with', () => {
  const cases: [string, () => Promise<Partial<Files>>, string][] = [
    [
      'a certificate without its key',
      async () => ({ 'server.certificate': (await makeFiles())['server.certificate'] }),
      'server.key: is needed',
    ],
    [
      'a key alone',
      async () => ({ 'server.key': (await makeFiles())['server.key'] }),
      'server.certificate: is needed',
    ],
    [
      'no CA to pin',
      async () => {
        const { 'server.ca': _ca, ...others } = await makeFiles();
        return others;
      },
      'server.ca: is needed',
    ],
    [
      'the key of another certificate',
      async () => ({ ...(await makeFiles()), 'server.key': (await makeFiles())['server.key'] }),
      'key.pem is not the key of the certificate',
    ],
    [
      'a key that everybody may read',
      async () => {
        const files = await makeFiles();
        await chmod(files['server.key'], 0o644);
        return files;
      },
      'key.pem has the mode 0644; 0640 is the most that is allowed',
    ],
    [
      'a key behind a passphrase',
      async () => {
        const files = await makeFiles();
        const key = `${files['server.key']}.locked`;
        await succeed('openssl', [
          'pkcs8',
          '-topk8',
          '-in',
          files['server.key'],
          '-out',
          key,
          '-passout',
          'pass:x',
        ]);
        return { ...files, 'server.key': key };
      },
      'key.pem.locked is encrypted',
    ],
    [
      'a client certificate',
      () => makeFiles({ extensions: CLIENT }),
      'is not made for servers (serverAuth)',
    ],
    [
      'a certificate without alternative names',
      async () => {
        const leaf = await below.issue({ subject: '/CN=localhost', extensions: SERVER });
        return {
          'server.certificate': leaf.certificate,
          'server.key': leaf.key,
          'server.ca': below.certificate,
        };
      },
      'has no alternative name; clients read no other',
    ],
    ['an expired certificate', () => makeFiles({ from: -9, to: -1 }), 'chain.crt expired on '],
    [
      'one that is not valid yet',
      () => makeFiles({ from: 1, to: 9 }),
      'chain.crt is not valid before ',
    ],
    [
      'a weak key',
      async () => makeFiles({ key: 'RSA-1024' }),
      'has a key that is RSA of 1024 bits',
    ],
    [
      'a chain in the wrong order',
      async () => {
        const files = await makeFiles();
        const [leaf = '', ca = ''] = (await readFile(files['server.certificate'], 'utf8')).split(
          /(?<=END CERTIFICATE-----\n)/,
        );
        await writeFile(files['server.certificate'], ca + leaf);
        return files;
      },
      "begins with an authority's certificate; the server's comes first",
    ],
    [
      'a chain with a hole',
      async () => {
        const files = await makeFiles();
        const [leaf = ''] = (await readFile(files['server.certificate'], 'utf8')).split(
          /(?<=END CERTIFICATE-----\n)/,
        );
        await writeFile(files['server.certificate'], leaf);
        return files;
      },
      'server.ca: the chain of server.certificate leads to none of these',
    ],
    [
      'a chain that does not hang together',
      async () => {
        const files = await makeFiles();
        const other = await root.createBelow('Others');
        const [leaf = ''] = (await readFile(files['server.certificate'], 'utf8')).split(
          /(?<=END CERTIFICATE-----\n)/,
        );
        await writeFile(
          files['server.certificate'],
          leaf + (await readFile(other.certificate, 'utf8')),
        );
        return files;
      },
      'repo was not issued by Others, which follows it',
    ],
    [
      'a leaf to pin',
      async () => {
        const files = await makeFiles();
        const leaf = await below.issue(wanted);
        return { ...files, 'server.ca': leaf.certificate };
      },
      'server.ca: repo is no authority',
    ],
  ];
  it.each(cases)('%s', async (_name, files, why) => {
    const refused = await refusalOf(await files());
    expect(refused).toMatch(/^CONFIG_INVALID: server\.(certificate|key|ca): /);
    expect(refused).toContain(why);
  });

  it('none of it where the files are right, and their key is read by its group', async () => {
    const files = await makeFiles();
    await chmod(files['server.key'], 0o640);
    expect(await refusalOf(files)).toBe('accepted');
    expect(await refusalOf({ ...files, 'server.ca': below.certificate })).toBe('accepted');
  });
});

describe('a server with a certificate of its own', () => {
  let site: Site;
  let host: IssuedClient;
  let pinned: Client;
  let files: Files;
  const shown = async (): Promise<string> => {
    const flags = ['-connect', `127.0.0.1:${site.port}`, '-servername', 'localhost'];
    const pinning = ['-CAfile', root.certificate, '-verify_return_error', '-showcerts'];
    // It shows no certificate and is cut in the end; when, is a matter of luck.
    const { stdout } = await run('openssl', ['s_client', ...flags, ...pinning]);
    expect(stdout).toContain('Verification: OK');
    return /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(stdout)?.[0] ?? '';
  };
  /** Puts the files of another certificate in the place of the ones in use. */
  const replaceBy = async (others: Files): Promise<void> => {
    await copyFile(others['server.certificate'], files['server.certificate']);
    await copyFile(others['server.key'], files['server.key']);
  };

  beforeAll(async () => {
    const made = await makeFiles();
    const folder = join(scratch, 'live');
    await mkdir(folder);
    files = {
      ...made,
      'server.certificate': join(folder, 'fullchain.pem'),
      'server.key': join(folder, 'privkey.pem'),
    };
    await replaceBy(made);
    site = await startSite(join(scratch, 'site'), { settings: files });
    host = await site.issue('web', 'host');
    pinned = { ...host, ca: root.certificate };
  });
  afterAll(() => site.daemon.stop());

  it('shows it with its chain, and is reached by the name in it', async () => {
    expect(site.url).toBe(`https://localhost:${site.port}`);
    expect((await curl(pinned, `${site.url}/dists/stable/InRelease`)).status).toBe(200);
  });

  it('gives its CA to whoever asks what to pin', async () => {
    const ca = await readFile(root.certificate, 'utf8');
    const answer = await ask({ ...site, ca: root.certificate }, pinned, '/ca.crt');
    expect(answer.text).toBe(ca);
    const apt = await site.perform('host.apt', { host: 'web' });
    expect(apt.files.find((file) => file.path.endsWith('/ca.crt'))?.content).toBe(ca);
    const csr = await readFile(join((await below.issue(wanted)).folder, 'csr.pem'), 'utf8');
    expect((await site.perform('certificate.issue', { name: 'b', role: 'host', csr })).ca).toBe(ca);
  });

  it('goes on with it while the files do not fit together, says so, and then takes the new ones', async () => {
    const before = await shown();
    const others = await makeFiles();
    await copyFile(others['server.certificate'], files['server.certificate']);
    await site.daemon.reload();
    expect(await shown()).toBe(before);
    const { clocks } = await site.perform('status.show', {});
    expect(clocks.find((one) => one.name === 'server certificate')?.state).toBe('error');
    await copyFile(others['server.key'], files['server.key']);
    await site.daemon.reload();
    const after = await shown();
    expect(after).not.toBe(before);
    expect(await readFile(others['server.certificate'], 'utf8')).toContain(after);
    const later = await site.perform('status.show', {});
    expect(later.clocks.find((one) => one.name === 'server certificate')?.state).toBe('ok');
    expect((await curl(pinned, `${site.url}/dists/stable/InRelease`)).status).toBe(200);
  });

  it.each<[string, Partial<LeafOptions>]>([
    ['an expired one', { from: -9, to: -1 }],
    ['a client certificate', { extensions: CLIENT }],
  ])('does not take %s', async (_name, options) => {
    const before = await shown();
    await replaceBy(await makeFiles(options));
    await site.daemon.reload();
    expect(await shown()).toBe(before);
  });
});
