/**
 * Revocation and its lists: one transaction, safe to repeat, every list newer than the one before.
 * Each list is verified by openssl and by GnuTLS. RFC 5280 section 5.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issuingAuthority } from '../../src/authority/authority.ts';
import { issueNextCrl } from '../../src/authority/crl.ts';
import { revokeCertificates } from '../../src/authority/revoke.ts';
import type { CrlRow } from '../../src/catalog/crls.ts';
import { killAfterLines } from '../children.ts';
import { createScratch } from '../e2e/command.ts';
import { createClock } from '../http/start.ts';
import {
  initialise,
  issue,
  type KeptAuthority,
  openKept,
  readSerials,
  requestKey,
  verifyClient,
  verifyCrl,
  verifySignature,
} from './kept.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const scratch = createScratch('revoke');
const data = join(scratch, 'data');
const clock = createClock();
let kept: KeptAuthority;

const listCrls = (): Promise<CrlRow[]> =>
  kept.authority.catalog.all('SELECT * FROM crl ORDER BY number');

/** Numbers and times that only grow, by a whole second at least. */
function expectGrowing(rows: readonly CrlRow[]): void {
  for (const [index, row] of rows.entries()) {
    const before = rows[index - 1];
    if (!before) continue;
    expect(row.number).toBe(before.number + 1);
    const step = Date.parse(row.this_update) - Date.parse(before.this_update);
    expect(step).toBeGreaterThanOrEqual(1000);
    expect(step % 1000).toBe(0);
  }
}

beforeAll(async () => {
  await initialise(data, { now: clock.now });
  kept = await openKept(data, { now: clock.now });
});

afterAll(() => kept.close());

describe('revoking', () => {
  it('puts the serial on the next list, with its reason, and openssl refuses the certificate', async () => {
    const row = await issue(kept, 'one');
    expect(await verifyClient(data, row.pem)).toMatch(/: OK\n$/);
    await revokeCertificates(kept.authority, 'one', 'keyCompromise');
    const text = await verifyCrl(data);
    expect(readSerials(text)).toContain(row.serial);
    expect(text).toContain('Key Compromise');
    await expect(verifyClient(data, row.pem)).rejects.toThrow(/certificate revoked/);
    expect(kept.authority.trust.isRevoked(row.serial)).toBe(true);
  });

  it('again changes no date and no reason, and issues the list again', async () => {
    await issue(kept, 'twice');
    const [first] = await revokeCertificates(kept.authority, 'twice', 'superseded');
    const number = kept.authority.trust.crl?.number ?? 0;
    clock.advance(5000);
    const [again] = await revokeCertificates(kept.authority, 'twice', 'keyCompromise');
    expect(again).toEqual(first);
    expect(kept.authority.trust.crl?.number).toBe(number + 1);
  });

  it('by name means every certificate of that name, by serial one', async () => {
    const rows = [await issue(kept, 'many'), await issue(kept, 'many'), await issue(kept, 'many')];
    await revokeCertificates(kept.authority, rows[1]?.serial ?? '', 'superseded');
    const revoked = () => rows.map((row) => kept.authority.trust.isRevoked(row.serial));
    expect(revoked()).toEqual([false, true, false]);
    await revokeCertificates(kept.authority, 'many', 'cessationOfOperation');
    expect(revoked()).toEqual([true, true, true]);
  });

  it.each([
    ['upper case', (serial: string) => serial.toUpperCase()],
    ['colons', (serial: string) => (serial.padStart(32, '0').match(/../g) ?? []).join(':')],
    ['0x in front', (serial: string) => `0x${serial}`],
    ['leading zeros', (serial: string) => `0000${serial}`],
  ])('knows a serial spelt with %s', async (_name, spell) => {
    const row = await issue(kept, 'spelt');
    await revokeCertificates(kept.authority, spell(row.serial), 'unspecified');
    expect(readSerials(await verifyCrl(data))).toContain(row.serial);
  });

  it.each(['nobody', 'f'.repeat(32), '', '0x', 'f'.repeat(4000), "' OR 1=1 --", '%'])(
    'refuses what is no certificate, and issues nothing: %j',
    async (name) => {
      const number = kept.authority.trust.crl?.number;
      await expect(revokeCertificates(kept.authority, name, 'unspecified')).rejects.toMatchObject({
        code: expect.stringMatching(/^(CERTIFICATE_UNKNOWN|INPUT_INVALID)$/),
      });
      expect(kept.authority.trust.crl?.number).toBe(number);
    },
  );

  it('is undone whole where its list cannot be made, and can be repeated', async () => {
    const row = await issue(kept, 'unlucky');
    const { facts, signer } = issuingAuthority(kept.authority);
    const broken = { ...signer, sign: () => Promise.reject(new Error('the token is gone')) };
    const authority = { ...kept.authority, issuers: [{ facts, signer: broken }] };
    await expect(revokeCertificates(authority, 'unlucky', 'superseded')).rejects.toThrow('token');
    expect(kept.authority.trust.isRevoked(row.serial)).toBe(false);
    const [after] = await revokeCertificates(kept.authority, 'unlucky', 'superseded');
    expect(after?.revocation_reason).toBe('superseded');
    expect(readSerials(await verifyCrl(data))).toContain(row.serial);
  });

  it('of a name takes in what was issued for it while it waited', async () => {
    const { catalog, trust } = kept.authority;
    await issue(kept, 'moment');
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holding = catalog.lock('crl', () => held);
    const revoking = revokeCertificates(kept.authority, 'moment', 'keyCompromise');
    const late = await issue(kept, 'moment');
    release();
    await holding;
    const rows = await revoking;
    expect(rows.map((row) => row.serial)).toContain(late.serial);
    expect(rows.every((row) => row.revoked_at !== null)).toBe(true);
    expect(trust.isRevoked(late.serial)).toBe(true);
  });
});

describe('a hundred at once', () => {
  it('are issued with a hundred serials and revoked on the last list', async () => {
    const csr = requestKey();
    const names = Array.from({ length: 100 }, (_, index) => `crowd-${index}`);
    const rows = await Promise.all(names.map((name) => issue(kept, name, 'host', csr)));
    expect(new Set(rows.map((row) => row.serial)).size).toBe(100);
    const before = kept.authority.trust.crl?.number ?? 0;
    await Promise.all(
      names.flatMap((name) => [
        revokeCertificates(kept.authority, name, 'superseded'),
        issue(kept, `after-${name}`, 'host', csr),
      ]),
    );
    const named = readSerials(await verifyCrl(data));
    expect(named).toEqual(expect.arrayContaining(rows.map((row) => row.serial)));
    expect(new Set(named).size).toBe(named.length);
    expect(kept.authority.trust.crl?.number).toBe(before + 100);
    expectGrowing(await listCrls());
    expect(kept.authority.trust.isFresh(clock.now())).toBe(true);
  });
});

describe('the list', () => {
  it('grows by whole seconds while the clock stands still, and is never ahead of it', async () => {
    const frozen = clock.now();
    const authority = { ...kept.authority, now: () => frozen };
    for (let count = 0; count < 20; count += 1) await issueNextCrl(authority);
    const rows = await listCrls();
    expect(rows).toHaveLength(10);
    expectGrowing(rows);
    expect(Date.parse(rows.at(-1)?.this_update ?? '')).toBeLessThanOrEqual(frozen);
  });

  it('is good for a day from its issue, and in certs/ as in the catalog', async () => {
    const row = await issueNextCrl(kept.authority);
    const left = Date.parse(row.next_update) - clock.now();
    expect(Math.abs(left - DAY_MS)).toBeLessThan(2000);
    const file = await readFile(join(data, 'certs/crl.pem'), 'utf8');
    expect(file).toBe(row.pem);
    expect(await verifyCrl(data)).toContain(`CRL Number: \n                ${row.number}\n`);
  });

  it('drops a revoked certificate an hour after its own end, not before', async () => {
    const row = await issue(kept, 'short');
    await revokeCertificates(kept.authority, 'short', 'superseded');
    clock.advance(Date.parse(row.not_after) - clock.now() + HOUR_MS - 60_000);
    await issueNextCrl(kept.authority);
    expect(kept.authority.trust.crl?.serials.has(row.serial)).toBe(true);
    clock.advance(120_000);
    await issueNextCrl(kept.authority);
    expect(kept.authority.trust.crl?.serials.has(row.serial)).toBe(false);
    expect(kept.authority.trust.isRevoked(row.serial)).toBe(true);
    expect(readSerials(await verifySignature(data))).not.toContain(row.serial);
  });

  it('is never replaced by an older one', async () => {
    const { trust } = kept.authority;
    const older = trust.crl;
    await issueNextCrl(kept.authority);
    const newer = trust.crl;
    expect(older && trust.load(older)).toBe(false);
    expect(trust.crl).toBe(newer);
  });

  it('after the clock went back: the door is shut, revoking works, numbers and times grow', async () => {
    const row = await issue(kept, 'back-in-time');
    clock.advance(-3 * DAY_MS);
    expect(kept.authority.trust.isFresh(clock.now())).toBe(false);
    const before = await listCrls();
    await revokeCertificates(kept.authority, 'back-in-time', 'keyCompromise');
    expect(kept.authority.trust.isRevoked(row.serial)).toBe(true);
    expectGrowing([...before.slice(-1), ...(await listCrls()).slice(-1)]);
    expect(readSerials(await verifySignature(data))).toContain(row.serial);
    clock.advance(3 * DAY_MS);
    await issueNextCrl(kept.authority);
    expect(kept.authority.trust.isFresh(clock.now())).toBe(true);
  });

  it('is written anew from the catalog where certs/crl.pem was lost', async () => {
    await rm(join(data, 'certs/crl.pem'));
    await kept.close();
    kept = await openKept(data, { now: clock.now });
    await issueNextCrl(kept.authority);
    expectGrowing(await listCrls());
    expect(await verifySignature(data)).toContain('Certificate Revocation List');
  });
});

describe('kill -9 during issue and revoke', () => {
  it('reuses no serial and loses no revocation that was acknowledged', async () => {
    const other = join(scratch, 'killed');
    await initialise(other);
    const issued: string[] = [];
    const revoked: string[] = [];
    let number = 0;
    for (const lines of [7, 12, 21]) {
      for (const line of await killAfterLines('authority/kill-for-ever.ts', [other], lines)) {
        const [verb, serial = '', list = '0'] = line.split(' ');
        if (verb === 'issued') issued.push(serial);
        else revoked.push(serial);
        // A line may be cut by the kill; the number of a whole one is the last word.
        number = Math.max(number, Number(list));
      }
    }
    expect(issued.length).toBeGreaterThanOrEqual(20);
    expect(new Set(issued).size).toBe(issued.length);
    const reopened = await openKept(other);
    try {
      const { trust } = reopened.authority;
      expect(issued.filter((serial) => trust.find(serial) === undefined)).toEqual([]);
      expect(revoked.filter((serial) => !trust.crl?.serials.has(serial))).toEqual([]);
      expect(trust.crl?.number).toBeGreaterThanOrEqual(number);
      const known = new Set(issued);
      const next = await issue(reopened, 'next');
      expect(known.has(next.serial)).toBe(false);
      await issueNextCrl(reopened.authority);
      expect(readSerials(await verifyCrl(other))).toEqual(expect.arrayContaining(revoked));
    } finally {
      await reopened.close();
    }
  });
});
