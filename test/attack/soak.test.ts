/**
 * Two hundred connections that never stop asking, while certificates are revoked at random, through
 * the private socket and over the network: no request that was sent after its revocation returned is
 * answered, and everybody else is answered throughout. Bounded in requests.
 */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createScratch, waitFor } from '../e2e/command.ts';
import { issuePrivately, revokePrivately } from '../e2e/private-socket.ts';
import { startServer } from '../e2e/program.ts';
import { type Client, curl } from '../e2e/site.ts';
import { Chatter, type Standing, type Tally } from './chatter.ts';

const CERTIFICATES = 40;
const CONNECTIONS_EACH = 5;
const REVOCATIONS = 20;
/** Answers between one revocation and the next. */
const ANSWERS = 100;
/** The hot path twice, and once what workers hand over. */
const PATHS = ['/dists/stable/InRelease', '/archive-keyring.asc', '/dists/stable/Release'];

const scratch = createScratch('soak');

interface Talker {
  client: Client;
  standing: Standing;
  chatters: Chatter[];
}

/** Takes one of them out. */
function draw<Value>(from: Value[]): Value {
  const [drawn] = from.splice(randomInt(from.length), 1);
  if (drawn === undefined) throw new Error('nobody is left');
  return drawn;
}

describe.each([1, 4])('with %i workers', (workers) => {
  it('nobody is answered whose revocation returned, and nobody else goes without', async () => {
    const data = join(scratch, `data-${workers}`);
    const server = await startServer({ data, env: { APTKEEP_WORKERS: String(workers) } });
    const admin = await issuePrivately(data, 'the-admin', 'admin');
    const ca = await readFile(admin.ca);
    const tally: Tally = { answered: 0, refused: 0, faults: [] };
    const clients: Client[] = [];
    for (let index = 0; index < CERTIFICATES; index += 1) {
      clients.push(await issuePrivately(data, `host-${index}`, 'host'));
    }
    const staying: Talker[] = [];
    for (const client of clients) {
      const [cert, key] = [await readFile(client.certificate), await readFile(client.key)];
      const standing = { isLeaving: false, isGone: false };
      const options = { port: server.port, ca, cert, key };
      const chatters = Array.from(
        { length: CONNECTIONS_EACH },
        () => new Chatter(options, standing, tally, PATHS),
      );
      staying.push({ client, standing, chatters });
    }
    const leaving: Talker[] = [];
    const took: number[] = [];
    for (let count = 0; count < REVOCATIONS; count += 1) {
      const enough = tally.answered + ANSWERS;
      await waitFor('more answers', () => (tally.answered >= enough ? true : undefined));
      const talker = draw(staying);
      const { name } = talker.client;
      talker.standing.isLeaving = true;
      const asked = performance.now();
      if (count % 2 === 0) {
        await revokePrivately(data, name);
      } else {
        const url = `${server.url}/v1/certificates/${name}/revoke`;
        expect((await curl(admin, url, '--json', '{}')).status).toBe(200);
      }
      talker.standing.isGone = true;
      took.push(performance.now() - asked);
      leaving.push(talker);
    }
    // Those who are gone have come back in vain as often as they wanted to.
    await Promise.all(leaving.flatMap((one) => one.chatters.map((chatter) => chatter.ended)));
    const enough = tally.answered + ANSWERS * 10;
    await waitFor('more answers', () => (tally.answered >= enough ? true : undefined));
    const others = staying.flatMap((one) => one.chatters);
    for (const chatter of others) chatter.stop();
    await Promise.all(others.map((chatter) => chatter.ended));
    const [median = 0, slowest = 0] = [took.sort((a, b) => a - b)[took.length >> 1], took.at(-1)];
    process.stdout.write(
      `soak, ${workers} workers: ${tally.answered} answers, ${tally.refused} refusals; a revocation took ${median.toFixed(0)} ms, ${slowest.toFixed(0)} at most\n`,
    );
    expect([...new Set(tally.faults)]).toEqual([]);
    expect(tally.refused).toBeGreaterThanOrEqual(REVOCATIONS);
    expect(await server.stop()).toBe(0);
  }, 300_000);
});
