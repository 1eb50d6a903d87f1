/** Health and metrics in the clear, and nothing else there. Source: the Prometheus text format. */
import { join } from 'node:path';
import supertest, { type Test } from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHealthServer } from '../../src/http/health.ts';
import { createScratch } from '../e2e/command.ts';
import { ask, createClock, type Site, startSite } from './start.ts';

const data = join(createScratch('health'), 'data');
const clock = createClock();
let site: Site;
let draining = false;
let server: ReturnType<typeof createHealthServer>;

beforeAll(async () => {
  site = await startSite(data, { clock, settings: { 'crl.refresh': '3650d' } });
  server = createHealthServer(site.parts, () => draining);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  server.close();
  await site.daemon.stop();
});

const get = (path: string): Test => supertest(server).get(path);

describe('/healthz and /readyz', () => {
  it('say ok and ready', async () => {
    expect(await get('/healthz')).toMatchObject({ status: 200, text: 'ok\n' });
    expect(await get('/readyz?probe=1')).toMatchObject({ status: 200, text: 'ready\n' });
    expect((await supertest(server).head('/readyz')).status).toBe(200);
  });

  it('not ready while draining, alive all the same', async () => {
    draining = true;
    const [ready, health] = [await get('/readyz'), await get('/healthz')];
    draining = false;
    expect([ready.status, health.status]).toEqual([503, 200]);
  });

  it('not ready while the revocation list is out of date', async () => {
    clock.advance(25 * 3_600_000);
    const [ready, metrics] = [await get('/readyz'), await get('/metrics')];
    clock.advance(-25 * 3_600_000);
    expect(ready).toMatchObject({ status: 503, text: 'revocation list out of date\n' });
    expect(metrics.text).toContain('\naptkeep_door_open 0\n');
    expect((await get('/readyz')).status).toBe(200);
  });
});

describe('/metrics', () => {
  /** Name and labels -> value, of every line that is no comment. */
  const read = (text: string): Map<string, number> => {
    const samples = new Map<string, number>();
    for (const line of text.trimEnd().split('\n')) {
      if (/^# (HELP|TYPE) aptkeep_[a-z_]+ \S/.test(line)) continue;
      const match =
        /^(aptkeep_[a-z_]+(?:\{[a-z]+="(?:[^"\\\n]|\\["\\n])*"\})?) (-?[0-9.e+]+)$/.exec(line);
      expect(line).toBe(match?.[0]);
      samples.set(match?.[1] ?? '', Number(match?.[2]));
    }
    return samples;
  };

  it('are in the text format, one HELP and one TYPE a name', async () => {
    const { text } = await get('/metrics');
    expect(read(text).size).toBeGreaterThan(10);
    const types = [...text.matchAll(/^# TYPE (\S+) (counter|gauge)$/gm)].map((match) => match[1]);
    expect(new Set(types).size).toBe(types.length);
    expect(text.match(/^# HELP /gm)).toHaveLength(types.length);
  });

  it('count what happens', async () => {
    const before = read((await get('/metrics')).text);
    const host = await site.issue('web', 'host');
    await ask(site, host, '/dists/stable/InRelease');
    await ask(site, host, '/dists/stable/none');
    await site.perform('certificate.revoke', { certificate: host.serial });
    await site.perform('suite.publish', { suite: 'stable' });
    const after = read((await get('/metrics')).text);
    const grown = (name: string) => (after.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(grown('aptkeep_connections_total')).toBe(2);
    expect(grown('aptkeep_requests_total')).toBe(2);
    expect(grown('aptkeep_crl_number')).toBe(1);
    expect(grown('aptkeep_crl_entries')).toBe(1);
    expect(grown('aptkeep_publication_number{suite="stable"}')).toBe(1);
    expect(grown('aptkeep_sent_bytes_total')).toBeGreaterThan(500);
    expect(after.get('aptkeep_door_open')).toBe(1);
    expect(after.get('aptkeep_clock_seconds_left{clock="revocation list"}')).toBeGreaterThan(
      86_000,
    );
  });
});

describe('anything else', () => {
  it.each([
    '/',
    '/v1/status',
    '/dists/stable/InRelease',
    '/pool/x',
    '/crl.pem',
    '//metrics',
    '/metrics/',
  ])('404: %s', async (path) => {
    expect((await get(path)).status).toBe(404);
  });

  it('405: another method', async () => {
    expect((await supertest(server).post('/metrics')).status).toBe(405);
    expect((await supertest(server).delete('/healthz')).status).toBe(405);
  });
});

describe('on the mutual-TLS port', () => {
  it('health for every role, metrics for those who may read everything', async () => {
    const expected = { host: 403, uploader: 403, observer: 200, admin: 200 } as const;
    for (const [role, status] of Object.entries(expected)) {
      const client = await site.issue(`metrics-${role}`, role as keyof typeof expected);
      expect((await ask(site, client, '/healthz')).status, role).toBe(200);
      expect((await ask(site, client, '/readyz')).status, role).toBe(200);
      expect((await ask(site, client, '/metrics')).status, role).toBe(status);
    }
  });
});
