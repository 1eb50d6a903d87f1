/** Snapshots: what was in force at a time, signed so that hosts of now take it; gpgv and sqv judge. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSnapshotTime, Snapshots } from '../../src/repository/snapshots.ts';
import { setSuite } from '../../src/repository/suite-settings.ts';
import { exportKeyring } from '../../src/signing/key.ts';
import { holdSecretKey } from '../../src/signing/signing-key.ts';
import { verifySignatures } from '../e2e/signatures.ts';
import {
  createKey,
  createPackage,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
  START_MS,
} from './open.ts';

const DAY_MS = 86_400_000;

let root: string;
let parts: OpenRepository;
const clock = { now: START_MS };
beforeEach(async () => {
  clock.now = START_MS;
  root = mkdtempSync(join(tmpdir(), 'aptkeep-snapshots-'));
  parts = await openRepository(root, { clock });
  await publishFirst(parts, { options: { snapshots: true } });
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

/** One package a day, from the second day on. */
async function passDays(count: number): Promise<void> {
  for (let day = 1; day <= count; day += 1) {
    clock.now += DAY_MS;
    await ingest(parts, [createPackage({ name: `day-${day}` })]);
  }
}

const readField = (release: string, name: string): string =>
  new RegExp(`^${name}: (.*)$`, 'm').exec(release)?.[1] ?? '';

describe('a snapshot', () => {
  it('is the publication that was in force, and none before the first or after now', async () => {
    await passDays(3);
    const snapshots = new Snapshots(parts);
    const find = async (time: number) => (await snapshots.find('stable', time))?.number;
    expect(await find(START_MS - 1)).toBeUndefined();
    expect(await find(START_MS)).toBe(1);
    expect(await find(START_MS + DAY_MS - 1)).toBe(1);
    expect(await find(START_MS + DAY_MS)).toBe(2);
    expect(await find(clock.now)).toBe(4);
    expect(await find(clock.now + 1)).toBeUndefined();
    await expect(find(0).then(() => snapshots.find('nowhere', 0))).rejects.toMatchObject({
      code: 'SUITE_UNKNOWN',
    });
    const settings = { options: { snapshots: false } };
    const request = { settings, force: false, forceIdentity: false, actor: 'test' };
    await setSuite(parts, 'stable', request);
    expect(await find(START_MS)).toBeUndefined();
  });

  it('says where it is to be had in Release', () => {
    expect(readField(String(parts.live.get('stable')?.release), 'Snapshots')).toBe(
      'https://repo.example.org:8443/snapshots/@SNAPSHOTID@/',
    );
  });

  it('has the Date and the indexes of then, is valid from now, and signed by the key of now', async () => {
    const first = String(parts.live.get('stable')?.release);
    await passDays(20);
    const key = await createKey();
    parts.signingKeys.splice(0, 1, holdSecretKey(key));
    const snapshots = new Snapshots(parts);
    const snapshot = await snapshots.find('stable', START_MS);
    if (!snapshot) throw new Error('no snapshot');
    const rest = (text: string): string => text.replace(/^Valid-Until: .*\n/m, '');
    expect(rest(snapshot.release)).toBe(rest(first));
    expect(Date.parse(readField(snapshot.release, 'Valid-Until'))).toBe(
      Math.floor((clock.now + 7 * DAY_MS) / 1000) * 1000,
    );
    const keyring = join(root, 'keyring.gpg');
    writeFileSync(keyring, exportKeyring([key.toPublic()]).binary);
    writeFileSync(join(root, 'InRelease'), snapshot.inRelease);
    writeFileSync(join(root, 'Release'), snapshot.release);
    writeFileSync(join(root, 'Release.gpg'), snapshot.releaseGpg);
    await verifySignatures(root, keyring);
    // The three files are of one signing until they are made again, long before they run out.
    clock.now += DAY_MS;
    expect(await snapshots.find('stable', START_MS)).toBe(snapshot);
    clock.now += 2 * DAY_MS;
    const again = await snapshots.find('stable', START_MS);
    expect(again?.signedAt).toBe(clock.now);
  });

  it.each(['20260231T000000Z', '2026-01-01', '20260101T000000', '20260101T240000Z', ''])(
    'has no time %j',
    (text) => {
      expect(readSnapshotTime(text)).toBeUndefined();
    },
  );

  it('has the time that it says', () => {
    expect(readSnapshotTime('20260102T030405Z')).toBe(Date.parse('2026-01-02T03:04:05Z'));
  });
});
