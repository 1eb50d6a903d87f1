/**
 * A revocation list that runs out closes the door to everyone; one local command opens it again,
 * with no restart.
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AptRoot } from './apt-root.ts';
import { createScratch, waitFor } from './command.ts';
import { getRequest, openConnection, readStatusLines } from './connection.ts';
import { aptkeep, runAptkeep, type Server, startServer } from './program.ts';
import { type Client, curl, enrolHost, issueClient, remoteFlags } from './site.ts';

const RELEASE = '/dists/stable/InRelease';
const REFUSAL = 'Revocation list out of date';

const scratch = createScratch('crl-lapse');
const data = join(scratch, 'data');
const clients: Client[] = [];
const roots: AptRoot[] = [];
let server: Server;

beforeAll(async () => {
  // Issued while nothing runs, so that the short life begins when everything is in place.
  await aptkeep('init', '--data', data);
  for (const role of ['uploader', 'observer', 'admin']) {
    clients.push(await issueClient(data, `the-${role}`, role));
  }
  // Short enough to wait for, and never reissued by itself.
  const env = { APTKEEP_CRL_LIFETIME: '8s', APTKEEP_CRL_REFRESH: '1h' };
  server = await startServer({ data, env });
  for (const name of ['web1', 'web2']) {
    const { client, root } = await enrolHost(data, name, join(scratch, name));
    clients.push(client);
    roots.push(root);
  }
  await aptkeep('crl', 'refresh', '--data', data);
});

const statuses = (): Promise<string[]> =>
  Promise.all(
    clients.map(async (client) => {
      const { status, reason } = await curl(client, `${server.url}${RELEASE}`);
      return `${status} ${reason}`;
    }),
  );

const everyone = (answer: string): string[] => clients.map(() => answer);

describe('the list runs out', () => {
  it('lets everyone in before', async () => {
    expect(await statuses()).toEqual(everyone('200 OK'));
  });

  it('refuses everyone with 503 after, on open connections too', async () => {
    const client = clients[0] as Client;
    const connection = await openConnection({ port: server.port, client, ca: client.ca });
    connection.send(getRequest(RELEASE));
    await waitFor('the list to run out', async () => {
      const { status } = await curl(client, `${server.url}${RELEASE}`);
      return status === 503 ? true : undefined;
    });
    expect(await statuses()).toEqual(everyone(`503 ${REFUSAL}`));
    connection.send(getRequest(RELEASE));
    const lines = readStatusLines(await connection.ended());
    expect(lines).toEqual(['HTTP/1.1 200 OK', `HTTP/1.1 503 ${REFUSAL}`]);
  });

  it('refuses apt-get and the command line over the network, and says why', async () => {
    const updates = await Promise.all(
      roots.map((root) => root.aptGet('-o', 'Acquire::Retries=0', 'update')),
    );
    for (const update of updates) {
      expect(update.status).toBe(100);
      expect(update.stderr).toMatch(/503\s+Revocation list out of date/);
    }
    const admin = clients.find((client) => client.name === 'the-admin') as Client;
    const refused = await runAptkeep(['crl', 'refresh', ...remoteFlags(admin, server.url)]);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/^aptkeep: revocation list out of date/i);
  });

  it('shows the operator that the door is closed', async () => {
    const status = JSON.parse(await aptkeep('status', '--json', '--data', data));
    expect(status).toMatchObject({ health: 'error', door: 'closed' });
  });

  it('lets everyone in again after one local command, without a restart', async () => {
    await aptkeep('crl', 'refresh', '--data', data);
    const [after, updates] = [
      await statuses(),
      Promise.all(roots.map((root) => root.aptGet('update'))),
    ];
    expect(after).toEqual(everyone('200 OK'));
    expect((await updates).map((update) => update.status)).toEqual([0, 0]);
    expect(server.process.exitCode).toBeNull();
  });
});
