/**
 * A copy of the gate's memory in another process: what the original refuses, the copy refuses, after
 * any change and from any moment on. Messages go through the structured clone that Node's channel
 * uses; lists are what openssl and the authority made.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { issueNextCrl } from '../../src/authority/crl.ts';
import { revokeCertificates } from '../../src/authority/revoke.ts';
import { beginRotation, finishRotation } from '../../src/authority/rotate.ts';
import type { Trust } from '../../src/authority/trust.ts';
import {
  copyTrust,
  followTrust,
  TrustFeed,
  type TrustMessage,
} from '../../src/authority/trust-copy.ts';
import { createScratch } from '../e2e/command.ts';
import { verifyData } from '../e2e/verified.ts';
import { createClock } from '../http/start.ts';
import { initialise, issue, type KeptAuthority, openKept } from './kept.ts';

const DAY_MS = 86_400_000;

const data = join(createScratch('copy'), 'data');
const clock = createClock();
let kept: KeptAuthority;
let feed: TrustFeed;

const copyNow = (): Trust => copyTrust(structuredClone(feed.snapshot()));

/** What a request is judged by, of every certificate. */
const judge = (trust: Trust, now: number): unknown => ({
  fresh: trust.isFresh(now),
  number: trust.crl?.number,
  pems: trust.crls.map((list) => list.pem),
  serials: trust.crls.map((list) => [...list.serials].sort()),
  until: trust.nextUpdate,
  certificates: [...trust.list()]
    .map((one) => [one.serial, one.name, trust.isRevoked(one.serial), trust.find(one.serial)])
    .sort(),
});

beforeAll(async () => {
  await initialise(data, { now: clock.now });
  kept = await openKept(data, { now: clock.now });
  feed = new TrustFeed(kept.authority.trust);
});

afterAll(() => kept.close());

describe('a copy', () => {
  it('judges as the original does, after every change and from any moment on', async () => {
    const { authority } = kept;
    const copies: Trust[] = [copyNow()];
    const unsubscribe = authority.trust.subscribe((change) => {
      for (const message of feed.describe(change)) {
        for (const copy of copies) followTrust(copy, structuredClone(message));
      }
    });
    const names: string[] = [];
    for (let step = 0; step < 30; step += 1) {
      const choice = randomInt(10);
      if (choice < 5 || names.length === 0) {
        names.push(`host-${step}`);
        await issue(kept, `host-${step}`);
      } else if (choice < 8) {
        const [name = ''] = names.splice(randomInt(names.length), 1);
        await revokeCertificates(authority, name, 'superseded');
      } else {
        clock.advance(randomInt(40 * DAY_MS));
        await issueNextCrl(authority);
      }
      if (choice % 3 === 0) copies.push(copyNow());
      const expected = judge(authority.trust, clock.now());
      for (const copy of copies) expect(judge(copy, clock.now())).toEqual(expected);
    }
    unsubscribe();
  });

  it('refuses by the bare serials, before it has the list', async () => {
    const { authority } = kept;
    const { serial } = await issue(kept, 'ahead');
    const copy = copyNow();
    const told: TrustMessage[] = [];
    const unsubscribe = authority.trust.subscribe((change) => {
      told.push(...structuredClone(feed.describe(change)));
    });
    await revokeCertificates(authority, serial, 'keyCompromise');
    unsubscribe();
    expect(told.map((message) => message.kind)).toEqual(['certificate', 'revoked', 'list']);
    const [, bare] = told;
    if (bare?.kind !== 'revoked') throw new Error('no bare serials');
    expect(bare.serials).toEqual([serial]);
    const heard: string[] = [];
    copy.subscribe((change) => {
      heard.push(change.kind);
    });
    followTrust(copy, bare);
    expect([copy.isRevoked(serial), copy.isRevoked(serial, bare.authority)]).toEqual([true, true]);
    expect(heard).toEqual(['serials']);
  });

  it('that has missed a list does not go on', async () => {
    const { authority } = kept;
    await issue(kept, 'missed');
    const copy = copyNow();
    let last: TrustMessage | undefined;
    const unsubscribe = authority.trust.subscribe((change) => {
      last = feed.describe(change).at(-1);
    });
    await revokeCertificates(authority, 'missed', 'superseded');
    await issueNextCrl(authority);
    unsubscribe();
    expect(last?.kind).toBe('list');
    expect(() => followTrust(copy, last as TrustMessage)).toThrow(/astray/);
  });

  it('follows the authorities as they change, each with its list at once', async () => {
    const { authority } = kept;
    const before = await issue(kept, 'before');
    const copy = copyNow();
    const told: TrustMessage[] = [];
    const unsubscribe = authority.trust.subscribe((change) => {
      told.push(...structuredClone(feed.describe(change)));
    });
    const freshness: boolean[] = [];
    copy.subscribe(() => {
      freshness.push(copy.isFresh(clock.now()));
    });
    await beginRotation(authority, 'client');
    const after = await issue(kept, 'after');
    for (const message of told.splice(0)) followTrust(copy, message);
    expect(copy.authorities.map((one) => one.fingerprint)).toEqual(
      authority.trust.authorities.map((one) => one.fingerprint),
    );
    const known = [before, after].map((row) => copy.find(row.serial)?.name);
    expect(known).toEqual(['before', 'after']);
    await verifyData(data);
    await finishRotation(authority, 'client', []);
    unsubscribe();
    for (const message of told.splice(0)) followTrust(copy, message);
    expect(copy.counts(before.authority)).toBe(false);
    expect(copy.counts(after.authority)).toBe(true);
    expect(copy.isRevoked(before.serial)).toBe(true);
    expect(copy.isRevoked(after.serial, after.authority)).toBe(false);
    expect(new Set(freshness)).toEqual(new Set([true]));
  });

  it('closes the door when there are no authorities', () => {
    const copy = copyNow();
    followTrust(copy, { kind: 'authorities', entries: [] });
    expect(copy.isFresh(clock.now())).toBe(false);
  });
});
