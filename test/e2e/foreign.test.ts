/**
 * A site that has a PKI already: the real apt-get with a host certificate of the site's CA, against
 * a server certificate of the site's CA, lists over HTTP; by the program's own commands.
 */
import { chown, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  concatenate,
  createRoot,
  type ForeignAuthority,
  SERVER,
} from '../authority/foreign-pki.ts';
import { type AptRoot, createAptRoot, findSandboxUser } from './apt-root.ts';
import { cleanEnvironment, createScratch, succeed, waitFor } from './command.ts';
import { buildSmall } from './packages.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, putFile } from './site.ts';

const scratch = createScratch('foreign-apt');
const data = join(scratch, 'data');
let root: ForeignAuthority;
let devices: ForeignAuthority;
let lists: HttpServer;
let server: Server;

const host = (name: string): Promise<Client> =>
  devices.issue({ subject: `/O=Uni/OU=web/CN=${name}` });

beforeAll(async () => {
  root = await createRoot(join(scratch, 'pki'), 'Uni Root');
  devices = await root.createBelow('Uni Devices');
  await root.publish();
  await devices.publish();
  lists = createServer((request, response) => {
    const list = request.url === '/root.crl' ? root.list : devices.list;
    readFile(list).then((bytes) => response.end(bytes));
  });
  await new Promise<void>((resolve) => lists.listen(0, '127.0.0.1', resolve));
  const web = await root.createBelow('Uni Web');
  const leaf = await web.issue({
    subject: '/O=Uni/CN=localhost',
    names: 'DNS:localhost',
    extensions: SERVER,
  });
  await mkdir(join(data, 'pki'), { recursive: true });
  await concatenate(join(data, 'pki/clients.pem'), root.certificate, devices.certificate);
  await concatenate(join(data, 'pki/server.pem'), leaf.certificate, web.certificate);
  await copyFile(leaf.key, join(data, 'pki/server.key'));
  await copyFile(root.certificate, join(data, 'pki/ca.pem'));
  const { port } = lists.address() as AddressInfo;
  await writeFile(
    join(data, 'aptkeep.yaml'),
    `clientCa:
  certificates: pki/clients.pem
  crl:
    - http://127.0.0.1:${port}/root.crl
    - http://127.0.0.1:${port}/devices.crl
  roles:
    - host: O=Uni, OU=web, CN=*
    - uploader(stable): O=Uni, OU=build, CN=*
server:
  certificate: pki/server.pem
  key: pki/server.key
  ca: pki/ca.pem
`,
  );
  server = await startServer({ data });
});

afterAll(async () => {
  await server.stop();
  lists.close();
});

/** What an administrator does with `aptkeep host show NAME --apt` and a certificate of the site's. */
async function enrol(name: string): Promise<AptRoot> {
  const client = await host(name);
  const folder = join(scratch, `enrol-${name}`);
  await mkdir(folder);
  await copyFile(client.certificate, join(folder, `${name}.crt`));
  await copyFile(client.key, join(folder, `${name}.key`));
  const directory = join(scratch, `root-${name}`);
  const apt = await createAptRoot(directory);
  const script = await aptkeep('host', 'show', name, '--apt', '--root', directory, '--data', data);
  await succeed('sh', ['-s'], { cwd: folder, env: cleanEnvironment(), input: script });
  const sandbox = await findSandboxUser();
  if (sandbox) await chown(join(directory, 'etc/apt/aptkeep/host.key'), sandbox.uid, sandbox.gid);
  return apt;
}

describe('a site with its own PKI', () => {
  it('says at the start whose certificates it takes', () => {
    expect(server.output()).toContain('client CA Uni Devices');
    expect(server.output()).not.toContain('cert issue');
  });

  it('takes an upload by a build job, and apt-get installs from it, until the CA revokes the host', async () => {
    const job = await devices.issue({ subject: '/O=Uni/OU=build/CN=jenkins' });
    const uploader = { ...job, ca: root.certificate };
    const deb = await buildSmall({ name: 'sample', version: '1' }, scratch);
    expect((await putFile(uploader, server.url, deb)).status).toBe(201);
    const apt = await enrol('web1');
    const updated = await apt.aptGet('update');
    expect([updated.status, updated.stderr]).toEqual([0, '']);
    expect((await apt.aptGet('install', 'sample')).status).toBe(0);
    expect(await apt.listInstalled()).toEqual(new Map([['sample', '1']]));
    await devices.revoke(join(scratch, 'enrol-web1/web1.crt'));
    await devices.publish();
    const shown = await aptkeep('crl', 'refresh', '--data', data);
    expect(shown).toMatch(/Uni Devices +2 /);
    const refused = await apt.aptGet('update');
    expect(refused.status).toBe(100);
    expect(refused.stderr).toMatch(/403\s+Certificate revoked/);
    const other = { ...(await host('web2')), ca: root.certificate };
    expect((await curl(other, `${server.url}/dists/stable/InRelease`)).status).toBe(200);
  });

  it('refuses what is the CA’s to do, and tests a certificate by the rules', async () => {
    const out = join(scratch, 'out');
    const refused = await runAptkeep([
      'cert',
      'issue',
      'x',
      '--role',
      'host',
      '--out',
      out,
      '--data',
      data,
    ]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain("client certificates come from this site's own authority");
    const { certificate } = await host('web3');
    expect(await aptkeep('cert', 'test', certificate, '--data', data)).toMatch(
      /^let in: host web3,/,
    );
    const nobody = await devices.issue({ subject: '/O=Uni/CN=web4' });
    const tested = await runAptkeep(['cert', 'test', nobody.certificate, '--data', data]);
    expect(tested.status).toBe(1);
    expect(tested.stdout).toContain('no rule of clientCa.roles gives it a role');
    expect(await aptkeep('cert', 'list', '--data', data)).not.toContain('web');
  });

  it('reads its lists again when it is told so by a signal', async () => {
    const client = { ...(await host('web5')), ca: root.certificate };
    await devices.revoke(client.certificate);
    await devices.publish();
    server.process.kill('SIGHUP');
    await waitFor('the refusal', async () => {
      const answer = await curl(client, `${server.url}/dists/stable/InRelease`);
      return answer.status === 403 ? true : undefined;
    });
  });

  it('does not start with a configuration that cannot be, and says which key it is', async () => {
    const config = join(scratch, 'wrong.yaml');
    await writeFile(config, 'clientCa: {certificates: pki/clients.pem}\n');
    const outcome = await runAptkeep([
      'serve',
      '--data',
      join(scratch, 'none'),
      '--config',
      config,
    ]);
    expect(outcome.status).toBe(2);
    expect(outcome.stderr).toContain('clientCa.crl: is needed with clientCa.certificates');
  });
});
