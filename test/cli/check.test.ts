/**
 * `aptkeep status --check` as a monitoring system asks it: one line, the states and the performance
 * data of the Monitoring Plugins Development Guidelines. The clock of the server is moved.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createScratch } from '../e2e/command.ts';
import { runAptkeep } from '../e2e/program.ts';
import { remoteFlags } from '../e2e/site.ts';
import {
  createClock,
  createKeyAndRequest,
  type IssuedClient,
  type Site,
  startSite,
} from '../http/start.ts';

const HOUR_MS = 3_600_000;
const scratch = createScratch('check');
const data = join(scratch, 'data');
const clock = createClock();
let site: Site;

/** STATE, what is said, and the status that it ends with; the form is that of a plugin. */
async function check(...flags: string[]): Promise<[string, number | null, string]> {
  const target = flags.length > 0 ? flags : ['--data', data];
  const { stdout, stderr, status } = await runAptkeep(['status', '--check', ...target]);
  expect(stderr).toBe('');
  const form =
    /^APTKEEP (OK|WARNING|CRITICAL|UNKNOWN) - ([^|\n]+?)(?: \|((?: '[\w .:-]+'=-?\d+s)+))?\n$/;
  const [, state = '', said = '', numbers] = form.exec(stdout) ?? [];
  expect([stdout, state]).toEqual([stdout, expect.stringMatching(/./)]);
  if (state !== 'UNKNOWN') expect(numbers).toMatch(/'revocation list'=-?\d+s/);
  return [state, status, said];
}

beforeAll(async () => {
  // No timer reissues the list in between.
  site = await startSite(data, { clock, settings: { 'crl.refresh': '3650d' } });
});

afterAll(() => site.daemon.stop());

describe('status --check', () => {
  it('is OK on the first day, and says what runs out first', async () => {
    expect(await check()).toEqual(['OK', 0, expect.stringContaining('the door is open')]);
  });

  it('warns at a quarter of the list’s life without another, and is critical at half', async () => {
    clock.advance(5.9 * HOUR_MS);
    expect((await check()).slice(0, 2)).toEqual(['OK', 0]);
    clock.advance(0.2 * HOUR_MS);
    expect(await check()).toEqual([
      'WARNING',
      1,
      expect.stringMatching(/revocation list: .* left/),
    ]);
    clock.advance(6 * HOUR_MS);
    expect((await check()).slice(0, 2)).toEqual(['CRITICAL', 2]);
    clock.advance(12 * HOUR_MS);
    const [state, status, said] = await check();
    expect([state, status]).toEqual(['CRITICAL', 2]);
    expect(said).toMatch(/the door is closed.*revocation list ran out/);
    await site.perform('crl.refresh', {});
    expect((await check()).slice(0, 2)).toEqual(['OK', 0]);
  });

  it('tells of the certificate that nobody renews', async () => {
    const { csr } = createKeyAndRequest();
    await site.perform('certificate.issue', { name: 'lazy', role: 'host', csr, days: 1 });
    for (const [hours, expected] of [
      [17, ['OK', 0]],
      [2, ['WARNING', 1]],
      [4, ['CRITICAL', 2]],
    ] as const) {
      clock.advance(hours * HOUR_MS);
      await site.perform('crl.refresh', {});
      const [state, status, said] = await check();
      expect([state, status]).toEqual(expected);
      if (status !== 0) expect(said).toContain('certificate of host lazy');
    }
    // Who has a newer one has renewed.
    const { csr: another } = createKeyAndRequest();
    await site.perform('certificate.issue', { name: 'lazy', role: 'host', csr: another });
    expect((await check()).slice(0, 2)).toEqual(['OK', 0]);
  });

  it('asks from afar too, and does not know where it is not let in', async () => {
    const observer: IssuedClient = await site.issue('nagios', 'observer');
    const flags = remoteFlags(observer, site.url);
    expect((await check(...flags)).slice(0, 2)).toEqual(['OK', 0]);
    await site.perform('certificate.revoke', { certificate: 'nagios' });
    const [state, status, said] = await check(...flags);
    expect([state, status]).toEqual(['UNKNOWN', 3]);
    expect(said).toContain('revoked');
  });

  it('does not know of what is not there, nor of what cannot be reached', async () => {
    const missing = ['--data', join(scratch, 'nowhere')];
    expect((await check(...missing)).slice(0, 2)).toEqual(['UNKNOWN', 3]);
    const observer = await site.issue('far', 'observer');
    const nobody = remoteFlags(observer, 'https://localhost:1');
    expect((await check(...nobody)).slice(0, 2)).toEqual(['UNKNOWN', 3]);
  });

  it('is critical where the data is well and nobody serves it', async () => {
    await site.daemon.stop();
    const [state, status, said] = await check();
    expect([state, status]).toEqual(['CRITICAL', 2]);
    expect(said).toContain('no server runs');
    site = await startSite(data, { clock });
  });
});
