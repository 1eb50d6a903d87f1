/** A suite that begins to ask for more, and ceases to: its stanzas are other ones at once. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readPublishedFile } from '../../src/repository/published-files.ts';
import type { SuiteOptions } from '../../src/repository/suite-options.ts';
import { setSuite } from '../../src/repository/suite-settings.ts';
import type { SecretKey } from '../../src/signing/key.ts';
import { readIndex } from '../e2e/stanzas.ts';
import {
  createKey,
  createPackage,
  ingest,
  type OpenRepository,
  openRepository,
  publishFirst,
} from './open.ts';

let key: SecretKey;
let root: string;
let parts: OpenRepository;
beforeAll(async () => {
  key = await createKey();
});
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'aptkeep-asked-'));
  parts = await openRepository(root, { key });
  await publishFirst(parts);
});
afterEach(async () => {
  await parts.close();
  rmSync(root, { recursive: true });
});

const ask = (options: Partial<SuiteOptions>): Promise<{ number: number }> => {
  const request = { settings: { options }, force: false, forceIdentity: false, actor: 'test' };
  return setSuite(parts, 'stable', request);
};

async function read(path: string): Promise<string | undefined> {
  const live = parts.live.get('stable');
  const file = live?.files.get(path);
  return live && file && (await buffer(await readPublishedFile(parts.storage, file))).toString();
}

async function readPackages(): Promise<Record<string, string>[]> {
  const index = readIndex((await read('main/binary-amd64/Packages')) ?? '');
  return [...index.values()].map((fields) => Object.fromEntries(fields));
}

const digest = (program: string, filename: string | undefined): string =>
  execFileSync(program, [join(root, filename ?? '')])
    .toString()
    .split(' ')[0] ?? '';

const named = (name: string): Buffer => createPackage({ name, fields: ' and more\n' });

describe('hashes', () => {
  it('are of packages that were there, and of those that come', async () => {
    await ingest(parts, [named('old')]);
    await ask({ hashes: ['SHA512', 'MD5sum'] });
    await ingest(parts, [named('new')]);
    const found = await readPackages();
    expect(found.map((fields) => fields.Package)).toEqual(['old', 'new']);
    for (const { Filename, SHA256, SHA512, MD5sum } of found) {
      expect(SHA256).toBe(digest('sha256sum', Filename));
      expect(SHA512).toBe(digest('sha512sum', Filename));
      expect(MD5sum).toBe(digest('md5sum', Filename));
    }
    await ask({ hashes: ['MD5sum'] });
    const [old] = await readPackages();
    expect(Object.keys(old ?? {})).not.toContain('SHA512');
    expect(old?.MD5sum).toMatch(/^[0-9a-f]{32}$/);
    await ask({ hashes: [] });
    const fields = Object.keys((await readPackages())[1] ?? {});
    expect(fields).toContain('SHA256');
    expect(fields.filter((name) => /^(MD5sum|SHA1|SHA512)$/.test(name))).toEqual([]);
  });

  it('are of a package that another suite had already', async () => {
    await publishFirst(parts, { name: 'next', codename: 'next' });
    await ingest(parts, [named('shared')], { suite: 'next' });
    await ask({ hashes: ['SHA512'] });
    await ingest(parts, [named('shared')]);
    const [shared] = await readPackages();
    expect(shared?.SHA512).toBe(digest('sha512sum', shared?.Filename));
  });
});

describe('translations', () => {
  it('take the long descriptions out of Packages, and put them back', async () => {
    await ingest(parts, [named('old')]);
    const whole = 'made for a test\n and more';
    expect((await readPackages()).map((fields) => fields.Description)).toEqual([whole]);
    expect(await read('main/i18n/Translation-en')).toBeUndefined();
    await ask({ translations: true });
    await ingest(parts, [named('new')]);
    const md5 = execFileSync('md5sum', { input: `${whole}\n` })
      .toString()
      .split(' ')[0];
    for (const { Description, 'Description-md5': sum } of await readPackages()) {
      expect([Description, sum]).toEqual(['made for a test', md5]);
    }
    const translations = (await read('main/i18n/Translation-en')) ?? '';
    const paragraph = (name: string): string =>
      `Package: ${name}\nDescription-md5: ${md5}\nDescription-en: ${whole}\n`;
    expect(translations.trimEnd()).toBe(`${paragraph('old')}\n${paragraph('new')}`.trimEnd());
    await parts.close();
    parts = await openRepository(root, { key });
    await ask({ translations: false });
    expect((await readPackages()).map((fields) => fields.Description)).toEqual([whole, whole]);
    expect(await read('main/i18n/Translation-en')).toBeUndefined();
  });
});
