/**
 * kill -9 of a server that issues and revokes over mutual TLS, several requests on their way: no
 * serial is used twice, and no revocation that was answered is lost.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSerials, verifyCrl } from '../authority/kept.ts';
import { createScratch, waitFor } from '../e2e/command.ts';
import { lastRequest, readStatusLines } from '../e2e/connection.ts';
import { aptkeep, type Server, startServer } from '../e2e/program.ts';
import { type Client, curl, issueClient } from '../e2e/site.ts';
import { createKeyAndRequest } from '../http/start.ts';
import { speak } from './speak.ts';

const RELEASE = '/dists/stable/InRelease';
const REFUSED = 'HTTP/1.1 403 Certificate revoked';
const AT_ONCE = 4;
const data = join(createScratch('killed'), 'data');

interface Known {
  serial: string;
  client: Client;
}

interface Answered {
  issued: string[];
  revoked: Known[];
}

const post = (admin: Client, server: Server, path: string, input: object) =>
  curl(admin, `${server.url}/v1/${path}`, '--json', JSON.stringify(input));

/** Issues and revokes until nobody answers; what was answered is noted. */
async function work(admin: Client, server: Server, label: string, noted: Answered) {
  for (let turn = 0; ; turn += 1) {
    const { key, csr } = createKeyAndRequest();
    const wanted = { name: `${label}-${turn}`, role: 'host', csr };
    const issued = await post(admin, server, 'certificates', wanted);
    if (issued.status === 0) return;
    expect(issued.status).toBe(201);
    const { serial, pem } = JSON.parse(issued.body) as { serial: string; pem: string };
    noted.issued.push(serial);
    const client = await keepFiles(admin, wanted.name, pem, key);
    const revoked = await post(admin, server, `certificates/${serial}/revoke`, {});
    if (revoked.status === 0) return;
    expect(revoked.status).toBe(200);
    noted.revoked.push({ serial, client });
  }
}

async function keepFiles(like: Client, name: string, pem: string, key: string): Promise<Client> {
  const folder = join(`${data}-clients`, name);
  await mkdir(folder, { recursive: true });
  const [certificate, keyFile] = [join(folder, 'client.crt'), join(folder, 'client.key')];
  await writeFile(certificate, pem);
  await writeFile(keyFile, key, { mode: 0o600 });
  return { name, folder, certificate, key: keyFile, ca: like.ca };
}

describe('kill -9 during issue and revoke', () => {
  it('uses no serial twice and loses no revocation that was answered', async () => {
    let server = await startServer({ data });
    const admin = await issueClient(data, 'the-admin', 'admin');
    const noted: Answered = { issued: [], revoked: [] };
    for (const [round, answers] of [3, 8, 5, 13].entries()) {
      const before = noted.issued.length + noted.revoked.length;
      const working = Array.from({ length: AT_ONCE }, (_, index) =>
        work(admin, server, `round${round}-${index}`, noted),
      );
      await waitFor('so many answers', () =>
        noted.issued.length + noted.revoked.length >= before + answers ? true : undefined,
      );
      await server.kill();
      await Promise.all(working);
      server = await startServer({ data, port: server.port });
    }
    expect(noted.revoked.length).toBeGreaterThan(3);
    expect(new Set(noted.issued).size).toBe(noted.issued.length);
    const printed = await aptkeep('cert', 'list', '--json', '--data', data);
    const rows = (JSON.parse(printed) as { certificates: { serial: string; status: string }[] })
      .certificates;
    expect(new Set(rows.map((row) => row.serial)).size).toBe(rows.length);
    const recorded = new Map(rows.map((row) => [row.serial, row.status]));
    expect(noted.issued.filter((serial) => !recorded.has(serial))).toEqual([]);
    const listed = new Set(readSerials(await verifyCrl(data)));
    for (const { serial, client } of noted.revoked) {
      expect([recorded.get(serial), listed.has(serial)]).toEqual(['revoked', true]);
      const { received } = await speak(
        { port: server.port, ca: client.ca },
        client,
        lastRequest(RELEASE),
      );
      expect(readStatusLines(received)).toEqual([REFUSED]);
    }
    expect((await curl(admin, `${server.url}${RELEASE}`)).status).toBe(200);
    expect(await server.stop()).toBe(0);
  });
});
