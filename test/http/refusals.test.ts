/** Refusals as HTTP has them: a status for each code, and problem+json (RFC 9457). */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import supertest from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { REFUSALS, type RefusalCode, RefusalError } from '../../src/errors.ts';
import { STATUSES, sendRefusal } from '../../src/http/refusals.ts';
import { createLogger } from '../../src/log.ts';

const codes = Object.keys(REFUSALS) as RefusalCode[];

let server: Server;
let thrown: unknown;
const logged: object[] = [];

beforeAll(async () => {
  const log = { ...createLogger('silent'), error: (entry: object) => logged.push(entry) };
  server = createServer((_request, response) => {
    sendRefusal(response, thrown, log as never, { 'X-Extra': 'yes' });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => server.close());

const ask = (method: 'get' | 'head' = 'get') =>
  supertest(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)[method]('/');

describe('statuses', () => {
  it('are there for every code and for nothing else', () => {
    expect(Object.keys(STATUSES).sort()).toEqual([...codes].sort());
  });

  it('are errors of HTTP', () => {
    for (const code of codes) {
      expect(STATUSES[code]).toBeGreaterThanOrEqual(400);
      expect(STATUSES[code]).toBeLessThan(600);
    }
  });

  it.each([
    ['INPUT_INVALID', 400],
    ['ROLE_FORBIDDEN', 403],
    ['SUITE_FORBIDDEN', 403],
    ['SUITE_UNKNOWN', 404],
    ['COMPONENT_UNKNOWN', 404],
    ['PACKAGE_CONFLICT', 409],
    ['TOO_LARGE', 413],
    ['PACKAGE_MALFORMED', 422],
    ['PACKAGE_UNACCEPTABLE', 422],
    ['CRL_STALE', 503],
    ['DRAINING', 503],
    ['SPACE_EXHAUSTED', 507],
  ] as const)('keep the promise: %s is %i', (code, status) => {
    expect(STATUSES[code]).toBe(status);
  });
});

describe('problem+json', () => {
  it.each(codes)('%s', async (code) => {
    thrown = new RefusalError(code, 'what was refused, and why');
    const answer = await ask();
    expect(answer.status).toBe(STATUSES[code]);
    expect(answer.type).toBe('application/problem+json');
    expect(JSON.parse(answer.text)).toEqual({
      type: `urn:aptkeep:refusal:${code.toLowerCase().replaceAll('_', '-')}`,
      title: REFUSALS[code],
      status: STATUSES[code],
      detail: 'what was refused, and why',
      code,
    });
    expect((answer as unknown as { res: { statusMessage: string } }).res.statusMessage).toBe(
      REFUSALS[code],
    );
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers['x-extra']).toBe('yes');
  });

  it('HEAD has the head and no body', async () => {
    thrown = new RefusalError('PATH_UNKNOWN', 'nothing there');
    const answer = await ask('head');
    expect(answer.status).toBe(404);
    expect(Number(answer.headers['content-length'])).toBeGreaterThan(0);
    expect(answer.text).toBeFalsy();
  });

  it.each([
    ['an error', new Error('/srv/secret: cannot open')],
    ['something that is no error', 'secret'],
    ['nothing', undefined],
  ])('%s of our own: 500, the cause only in the log', async (_name, cause) => {
    thrown = cause;
    const answer = await ask();
    expect(answer.status).toBe(500);
    const { code, detail } = JSON.parse(answer.text);
    expect(code).toBe('INTERNAL_ERROR');
    expect(answer.text).not.toContain('secret');
    const request = /request (\S+)$/.exec(detail)?.[1];
    expect(logged.at(-1)).toMatchObject({ event: 'internal error', request });
  });

  it('a message that would break the head stays in the body', async () => {
    thrown = new RefusalError('INPUT_INVALID', 'x\r\nX-Forged: yes\r\n\r\n"<script>');
    const answer = await ask();
    expect(answer.headers['x-forged']).toBeUndefined();
    expect(JSON.parse(answer.text).detail).toContain('X-Forged');
  });
});
