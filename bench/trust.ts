/**
 * What trust costs: a revocation list of a hundred thousand entries, the time from a revocation to
 * its refusal, and full mutual handshakes beside nginx with the same keys and the same list.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createSecureContext } from 'node:tls';
import { openParts } from '../src/compose.ts';
import { loadConfig } from '../src/config.ts';
import { createLogger } from '../src/log.ts';
import { readCertificate } from '../src/pki/certificate.ts';
import { issueCrl, readCrl } from '../src/pki/crl.ts';
import { createSerial } from '../src/pki/serial.ts';
import { asPeer, compareHandshakes, PATH, type Peer, portOf, type Times, time } from './compare.ts';
import { askOnce, loadBearer } from './handshakes.ts';
import { findNginx, type NginxServer, startNginx } from './nginx.ts';
import { measureRevocation } from './revocation.ts';
import { makeDataDirectory, median, runProgram, startServer } from './server.ts';

const REVOKED = 100_000;
const LIST_ROUNDS = 5;
const CHECKS = 1_000_000;
const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

/** An initialised data directory whose catalog has so many certificates, all revoked, and a host. */
function prepareData(revoked: number): string {
  const data = makeDataDirectory();
  runProgram('init', '--data', data);
  const flags = ['--role', 'host', '--out', join(data, 'web'), '--data', data];
  runProgram('cert', 'issue', 'web', ...flags);
  if (revoked === 0) return data;
  const sql = new DatabaseSync(join(data, 'catalog.sqlite'));
  // Copies of a real row, whatever columns there are.
  const columns = sql.prepare('select name from pragma_table_info(?1)').all('certificate');
  const changed: Record<string, string> = {
    ...{ serial: '?1', name: "'gone'", fingerprint: '?1', revocation_reason: "'superseded'" },
    revoked_at: 'issued_at',
  };
  const names = columns.map(({ name }) => String(name));
  const values = names.map((name) => changed[name] ?? name).join(', ');
  const insert = sql.prepare(
    `insert into certificate (${names.join(', ')}) select ${values} from certificate where name = 'web'`,
  );
  sql.exec('begin');
  for (let i = 0; i < revoked; i += 1) insert.run(createSerial(randomBytes(16)));
  sql.exec('commit');
  sql.close();
  runProgram('crl', 'refresh', '--data', data);
  return data;
}

async function measureOften(run: () => unknown): Promise<string> {
  const times: Times[] = [];
  for (let round = 0; round < LIST_ROUNDS; round += 1) times.push(await time(run));
  const wall = median(times.map((one) => one.wall));
  return `wall ${milliseconds(wall)}, CPU ${milliseconds(median(times.map((one) => one.cpu)))}`;
}

/** The list itself, in this process: the gate's own parts, opened on the data directory. */
async function measureList(label: string, data: string): Promise<void> {
  const parts = await openParts(loadConfig({ data, settings: {} }, {}), createLogger('silent'));
  try {
    const { trust, issuers } = parts.authority;
    const [issuer] = issuers;
    const [authority] = trust.authorities;
    const list = trust.crl;
    if (authority === undefined || list === undefined || issuer === undefined)
      throw new Error('there is no list');
    const [ca, cert, key] = ['client-ca.crt', 'server.crt', 'server.key'].map((name) =>
      readFileSync(join(data, 'certs', name)),
    );
    console.log(`${label}: ${list.entries.length} entries, ${Buffer.byteLength(list.pem)} bytes`);
    console.log(`  issue        ${await measureOften(() => issueCrl(issuer.signer, list))}`);
    console.log(`  read, verify ${await measureOften(() => readCrl(list.pem, authority))}`);
    const context = () => createSecureContext({ cert, key, ca, crl: list.pem });
    console.log(`  TLS context  ${await measureOften(context)}`);
    const facts = readCertificate(readFileSync(join(data, 'web/web.crt')));
    const presented = {
      ...{ serial: facts.serial, fingerprint: facts.fingerprint },
      authority: authority.fingerprint,
      ...{ notBefore: facts.notBefore.getTime(), notAfter: facts.notAfter.getTime() },
    };
    const check = (): void => {
      for (let i = 0; i < CHECKS; i += 1) {
        const now = Date.now();
        if (!trust.isFresh(now) || trust.findFault(presented, now)) throw new Error('refused');
      }
    };
    const costs: number[] = [];
    for (let round = 0; round < LIST_ROUNDS; round += 1) costs.push((await time(check)).cpu);
    console.log(`  check of a request ${((median(costs) / CHECKS) * 1000).toFixed(2)} µs of CPU`);
  } finally {
    await parts.close();
  }
}

async function measureLargeList(): Promise<void> {
  const [full, empty] = [prepareData(REVOKED), prepareData(0)];
  await measureList('a list of many', full);
  await measureList('an empty list', empty);
  const servers = [await startServer(full), await startServer(empty)];
  let nginx: NginxServer | undefined;
  try {
    for (const [at, server] of servers.entries()) {
      const before = server.cpu();
      const { wall } = await time(() => server.run('crl', 'refresh'));
      const cpu = server.cpu() - before;
      const label = at === 0 ? 'many' : 'none';
      console.log(
        `crl refresh, ${label}: wall ${milliseconds(wall)}, server CPU ${milliseconds(cpu)}`,
      );
    }
    const [many, none] = servers;
    if (many === undefined || none === undefined) return;
    const own = asPeer('list of many', many);
    const peers: Peer[] = [own, asPeer('list of none', none)];
    if (findNginx() !== undefined) {
      nginx = await startNginx(many.data, Math.max(...servers.map(portOf)) + 1);
      peers.push({ ...nginx, bearer: own.bearer, name: 'nginx, list of many' });
    }
    await compareHandshakes(peers);
  } finally {
    await nginx?.stop();
    for (const server of servers) await server.stop();
  }
}

async function measureBesideNginx(): Promise<void> {
  const version = findNginx();
  if (version === undefined) {
    console.log(
      'beside nginx: not measured, nginx is missing; on Debian: apt-get install nginx-light',
    );
    return;
  }
  const server = await startServer();
  server.run('cert', 'issue', 'web', '--role', 'host', '--out', join(server.data, 'web'));
  server.run('cert', 'issue', 'gone', '--role', 'host', '--out', join(server.data, 'gone'));
  server.run('cert', 'revoke', 'gone');
  const peers = [
    await startNginx(server.data, portOf(server) + 1),
    await startNginx(server.data, portOf(server) + 2),
  ];
  try {
    const gone = loadBearer(join(server.data, 'gone'), 'gone');
    for (const { port } of peers) {
      if ((await askOnce(gone, port, PATH)) === 200) throw new Error('nginx let a revoked one in');
    }
    console.log(`InRelease of ${statSync(join(server.data, PATH)).size} bytes, nginx ${version}`);
    const own = asPeer('aptkeep', server);
    const { bearer } = own;
    const others = peers.map((peer, at) => ({ ...peer, bearer, name: `nginx ${at ? 'B' : 'A'}` }));
    const cpuOf = await compareHandshakes([own, ...others]);
    const ratio = cpuOf('nginx A') / cpuOf('nginx B');
    console.log(`ratio of CPU, nginx A to nginx B (nothing differs): ${ratio.toFixed(2)}`);
  } finally {
    for (const peer of peers) await peer.stop();
    await server.stop();
  }
}

export async function measureTrust(): Promise<void> {
  for (const workers of [1, 4]) await measureRevocation(workers);
  await measureBesideNginx();
  await measureLargeList();
}
