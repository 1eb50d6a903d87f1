/** The gate's refusals in memory: counted, bounded, written in batches; the clock is the test's. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../src/catalog/audit-chain.ts';
import { findNetwork } from '../../src/http/address.ts';
import { createGateAudit, type GateAudit } from '../../src/http/gate-audit.ts';
import type { GateRefusal } from '../../src/http/gate-refusal.ts';
import { createLogger } from '../../src/log.ts';
import { waitFor } from '../e2e/command.ts';

const START_MS = Date.parse('2021-05-14T10:00:00Z');

let clock = START_MS;
let written: AuditEntry[];
let batches: number[];
let errors: unknown[];
/** What stands between the gate and its disk. */
let disk: () => Promise<void>;
let audit: GateAudit;

beforeEach(() => {
  [clock, written, batches, errors] = [START_MS, [], [], []];
  disk = async () => undefined;
  audit = createGateAudit({
    append: async (entries) => {
      await disk();
      batches.push(entries.length);
      written.push(...entries);
    },
    log: { ...createLogger('silent'), error: (what: unknown) => errors.push(what) },
    now: () => clock,
  });
});
afterEach(() => audit.close());

const stranger = (changed: Partial<GateRefusal> = {}): GateRefusal => ({
  operation: 'gate.handshake',
  actor: 'unknown',
  role: 'unknown',
  serial: null,
  address: '192.0.2.1',
  subject: '',
  code: 'CERTIFICATE_MISSING',
  detail: 'no certificate',
  ...changed,
});

const bearer = (serial: string, changed: Partial<GateRefusal> = {}): GateRefusal => ({
  ...stranger({ operation: 'gate.request', actor: 'web', role: 'host', subject: '/dists/x' }),
  ...{ serial, code: 'CERTIFICATE_REVOKED', detail: 'revoked', ...changed },
});

const writtenAll = (count: number): Promise<AuditEntry[]> =>
  waitFor(`${count} entries`, () => (written.length >= count ? written : undefined));

const pass = (milliseconds: number): void => {
  clock += milliseconds;
  audit.sweep();
};

describe('a refusal', () => {
  it('is written at once, the first of its kind, with who, from where and why', async () => {
    audit.note(bearer('abc'));
    expect(await writtenAll(1)).toEqual([
      {
        ...{ at: '2021-05-14T10:00:00.000Z', actor: 'web', role: 'host', serial: 'abc' },
        ...{ address: '192.0.2.1', operation: 'gate.request', subject: '/dists/x' },
        ...{ outcome: 'refused CERTIFICATE_REVOKED', detail: 'revoked' },
      },
    ]);
  });

  it('that comes again is counted, and told when its minute is over', async () => {
    for (let count = 0; count < 5000; count += 1) {
      audit.note(bearer('abc'));
      if (count % 500 === 0) pass(1000);
    }
    await writtenAll(1);
    pass(40_000);
    expect(written).toHaveLength(1);
    pass(10_000);
    const [, summary] = await writtenAll(2);
    expect(summary).toMatchObject({
      ...{ at: '2021-05-14T10:00:10.000Z', actor: 'web', serial: 'abc' },
      outcome: 'refused CERTIFICATE_REVOKED',
      detail: 'and 4999 more from 2021-05-14T10:00:00.000Z to 2021-05-14T10:00:10.000Z',
    });
    audit.note(bearer('abc'));
    expect((await writtenAll(3))[2]).toMatchObject({ detail: 'revoked' });
    pass(60_000);
    await audit.close();
    expect(written).toHaveLength(3);
  });

  it('is a first one again in the next minute, also before the counts are looked at', async () => {
    for (let count = 0; count < 3; count += 1) audit.note(bearer('abc'));
    clock += 60_000;
    audit.note(bearer('abc'));
    const details = (await writtenAll(3)).map(({ detail }) => detail.slice(0, 10));
    expect(details).toEqual(['revoked', 'and 2 more', 'revoked']);
  });

  it('is told apart by certificate, reason, kind and address', async () => {
    const different = [
      ...[bearer('a'), bearer('b'), bearer('a', { code: 'CERTIFICATE_EXPIRED' })],
      ...[bearer('a', { operation: 'gate.handshake' }), bearer('a', { address: '192.0.2.2' })],
      ...[stranger(), stranger({ code: 'CERTIFICATE_FOREIGN' }), stranger({ address: '::1' })],
    ];
    for (const refusal of [...different, ...different]) audit.note(refusal);
    await writtenAll(different.length);
    await audit.close();
    expect(written.filter(({ detail }) => /^and 1 more/.test(detail))).toHaveLength(8);
    expect(written).toHaveLength(16);
  });

  it('is not told apart by what a stranger can choose', async () => {
    for (let count = 0; count < 500; count += 1) {
      const subject = `claims to be "${count}"`;
      const address = `2001:db8:0:1::${count.toString(16)}`;
      const detail = `The certificate has an unknown critical extension, 1.2.3.${count}.`;
      audit.note(stranger({ code: 'CERTIFICATE_FOREIGN', subject, address, detail }));
    }
    await audit.close();
    expect(written).toHaveLength(2);
    expect(written[1]).toMatchObject({ address: '2001:db8:0:1::/64' });
    expect(written[1]?.detail).toMatch(/^and 499 more /);
  });

  it('after the end is not taken note of', async () => {
    await audit.close();
    audit.note(stranger());
    await audit.close();
    expect(written).toEqual([]);
  });
});

describe('a crowd', () => {
  const address = (count: number): string => `10.0.${count >> 8}.${count & 255}`;

  it('of strangers beyond a hundred is counted together, and hides no certificate', async () => {
    for (let count = 0; count < 5000; count += 1) audit.note(stranger({ address: address(count) }));
    audit.note(bearer('abc'));
    await writtenAll(101);
    pass(60_000);
    await writtenAll(102);
    expect(written.filter(({ serial }) => serial === 'abc')).toHaveLength(1);
    expect(written.at(-1)).toMatchObject({
      ...{ actor: 'several', address: 'several', operation: 'gate.handshake', outcome: 'refused' },
      detail: expect.stringMatching(/^and 4900 more from /),
    });
    expect(written).toHaveLength(102);
  });

  it('of certificates beyond a thousand is counted together', async () => {
    for (let count = 0; count < 1500; count += 1) audit.note(bearer(`${count}`));
    await audit.close();
    expect(written).toHaveLength(1001);
    expect(written.at(-1)?.detail).toMatch(/^and 500 more from /);
  });

  it('makes room for others when its minute is over, and when the clock went back', async () => {
    for (const step of [0, 60_000, -3_600_000]) {
      pass(step);
      for (let count = 0; count < 101; count += 1) {
        audit.note(stranger({ address: address(count) }));
      }
    }
    await audit.close();
    expect(written.filter(({ address: from }) => from === address(99))).toHaveLength(3);
  });
});

describe('the disk', () => {
  it('is given in one transaction what was refused in one turn', async () => {
    for (let count = 0; count < 50; count += 1) audit.note(bearer(`${count}`));
    await writtenAll(50);
    expect(batches).toEqual([50]);
  });

  it('is not waited for: what comes meanwhile goes together afterwards', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    disk = () => held;
    audit.note(bearer('first'));
    await new Promise(setImmediate);
    for (let count = 0; count < 700; count += 1) audit.note(bearer(`${count}`));
    expect(written).toEqual([]);
    release();
    await writtenAll(701);
    expect(batches).toEqual([1, 500, 200]);
  });

  it('that is full is an error in the log, tried again, and nothing is lost', async () => {
    disk = () => Promise.reject(new Error('no room'));
    audit.note(bearer('a'));
    await waitFor('an error', () => errors[0]);
    expect(errors).toEqual([
      { event: 'gate.audit not written', waiting: 1, lost: 0, error: 'Error: no room' },
    ]);
    disk = async () => undefined;
    audit.note(bearer('b'));
    pass(9999);
    await new Promise(setImmediate);
    expect(written).toEqual([]);
    pass(1);
    expect((await writtenAll(2)).map(({ serial }) => serial)).toEqual(['a', 'b']);
    expect(errors).toHaveLength(1);
  });

  it('that stays full costs a bounded memory, and what was lost is told', async () => {
    disk = () => Promise.reject(new Error('no room'));
    for (let minute = 0; minute < 10; minute += 1) {
      for (let count = 0; count < 1000; count += 1) audit.note(bearer(`${count}`));
      pass(60_000);
    }
    await waitFor('an error', () => errors[0]);
    disk = async () => undefined;
    await audit.close();
    expect(written).toHaveLength(5001);
    expect(written.at(-1)).toMatchObject({
      subject: 'refusals not written',
      detail: '5000 entries were lost while nothing could be written',
    });
  });

  it('that is full at the end holds nobody back', async () => {
    disk = () => Promise.reject(new Error('no room'));
    audit.note(bearer('a'));
    await audit.close();
    expect(written).toEqual([]);
  });
});

describe('the network of an address', () => {
  // RFC 4291 section 2.2; the kernel writes addresses as RFC 5952 has them.
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:1::', '2001:db8:1:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['::', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['1:2:3:4:5:6::8', '1:2:3:4::/64'],
    ['unknown', 'unknown'],
    ['several', 'several'],
  ])('%s is %s', (address, network) => {
    expect(findNetwork(address)).toBe(network);
  });
});
