/** Who may read what, and how soon a change of the catalog is in force. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROLES } from '../../src/authority/profiles.ts';
import { insertGroup, updateGroup } from '../../src/catalog/groups.ts';
import { insertHost } from '../../src/catalog/hosts.ts';
import { migrate } from '../../src/catalog/migrate.ts';
import type { Catalog } from '../../src/catalog/sql.ts';
import { openSqlite } from '../../src/catalog/sqlite.ts';
import { createReadingSource } from '../../src/fleet/groups.ts';
import { type Reader, Readers, type ReadingRules } from '../../src/fleet/reading.ts';

const AT = '2026-11-23T09:00:00.000Z';
const HOST: Reader = { name: 'web', role: 'host', suites: null };
const FILE = 'pool/main/a/a/a_1_all.deb';

let directory: string;
let catalog: Catalog;
let readers: Readers;
/** How often the catalog was asked for the rules, and for a file. */
let asked: { rules: number; files: string[] };
/** Waited for between the answer of the catalog and its arrival. */
let onTheWay: () => Promise<void> | void;

const lab = (suites: string[] | null) => ({
  ...{ name: 'lab', suites: suites && JSON.stringify(suites), description: '', created_at: AT },
});

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'aptkeep-reading-'));
  catalog = await openSqlite(join(directory, 'catalog.sqlite'));
  await migrate(catalog, new Date(AT));
  await insertGroup(catalog, lab(['stable', 'testing']));
  await insertHost(catalog, { name: 'web', group_name: 'lab', added_at: AT });
  asked = { rules: 0, files: [] };
  onTheWay = () => {};
  const source = createReadingSource(catalog);
  readers = new Readers({
    async readRules(): Promise<ReadingRules> {
      asked.rules += 1;
      const rules = await source.readRules();
      await onTheWay();
      return rules;
    },
    findSuites(key) {
      asked.files.push(key);
      return source.findSuites(key);
    },
  });
});
afterEach(async () => {
  await catalog.close();
  rmSync(directory, { recursive: true });
});

async function list(suite: string, addedIn = 1): Promise<void> {
  await catalog.run(
    `insert into suite (name, codename, origin, label, description, components, architectures,
       valid_for_ms, publication, created_at) values ($1, $1, 'o', 'l', '', '["main"]', '[]', 1, 1, $2)
     on conflict (name) do nothing`,
    suite,
    AT,
  );
  await catalog.run(
    `insert into package (id, name, version, architecture, kind, source, component, stanza,
       filename, size, sha256, uploaded_at, uploaded_by) values ('1', 'a', '1', 'all', 'deb', 'a', 'main', $1, $2, 1, 'x', $3, 'x')
     on conflict (id) do nothing`,
    Buffer.from('x'),
    FILE,
    AT,
  );
  await catalog.run(
    "insert into listing (suite, component, package_id, added_in) values ($1, 'main', '1', $2)",
    suite,
    addedIn,
  );
}

const mayRead = (reader: Reader, suite: string): Promise<string> =>
  readers.checkSuite(reader, suite).then(
    () => 'yes',
    (error: { code: string }) => error.code,
  );

const mayFetch = (reader: Reader): Promise<string> =>
  readers.checkFile(reader, FILE).then(
    (isThere) => (isThere ? 'yes' : 'not there'),
    (error: { code: string }) => error.code,
  );

describe('a suite', () => {
  it.each([
    ['a host whose group names it', HOST, 'stable', 'yes'],
    ['a host whose group does not', HOST, 'secret', 'SUITE_FORBIDDEN'],
    ['a host by a part of its name', HOST, 'stab', 'SUITE_FORBIDDEN'],
    ['a host without a record', { ...HOST, name: 'gone' }, 'stable', 'SUITE_FORBIDDEN'],
    ['a host of a name of JavaScript', { ...HOST, name: 'constructor' }, 'x', 'SUITE_FORBIDDEN'],
    [
      'a host with the suites of an uploader',
      { ...HOST, suites: ['secret'] },
      'secret',
      'SUITE_FORBIDDEN',
    ],
    ['an uploader of every suite', { ...HOST, role: 'uploader' }, 'secret', 'yes'],
    ['its uploader', { name: 'ci', role: 'uploader', suites: ['stable'] }, 'stable', 'yes'],
    [
      'the uploader of another',
      { name: 'ci', role: 'uploader', suites: ['stable'] },
      'secret',
      'SUITE_FORBIDDEN',
    ],
    ['an observer', { ...HOST, role: 'observer' }, 'secret', 'yes'],
    ['an admin', { ...HOST, role: 'admin' }, 'secret', 'yes'],
    ['a role that reads nothing', { ...HOST, role: 'enrolment' }, 'stable', 'ROLE_FORBIDDEN'],
  ] as [string, Reader, string, string][])('by %s', async (_name, reader, suite, answer) => {
    expect(await mayRead(reader, suite)).toBe(answer);
    const isReadable = await readers.findReadable(reader).catch(() => () => false);
    expect(isReadable(suite)).toBe(answer === 'yes');
  });

  it('is not read by a host whose group is not there', async () => {
    await insertHost(catalog, { name: 'lost', group_name: 'nowhere', added_at: AT });
    expect(await mayRead({ ...HOST, name: 'lost' }, 'stable')).toBe('SUITE_FORBIDDEN');
  });
});

describe('the catalog', () => {
  it('is asked for the rules once, however many ask together', async () => {
    await Promise.all(Array.from({ length: 50 }, () => mayRead(HOST, 'stable')));
    await mayRead(HOST, 'secret');
    expect(asked.rules).toBe(1);
  });

  it('is asked again after a change, and not before', async () => {
    expect(await mayRead(HOST, 'stable')).toBe('yes');
    await updateGroup(catalog, lab(['testing']));
    readers.invalidate();
    expect(await mayRead(HOST, 'stable')).toBe('SUITE_FORBIDDEN');
    await mayRead(HOST, 'stable');
    expect(asked.rules).toBe(2);
  });

  it('is asked again where a change came while its answer was on the way', async () => {
    let arrive = (): void => {};
    let before: Promise<string> | undefined;
    await new Promise<void>((leave) => {
      onTheWay = () => {
        leave();
        return new Promise((resolve) => {
          arrive = resolve;
        });
      };
      before = mayRead(HOST, 'stable');
    });
    onTheWay = () => {};
    await updateGroup(catalog, lab(['testing']));
    readers.invalidate();
    expect(await mayRead(HOST, 'stable')).toBe('SUITE_FORBIDDEN');
    arrive();
    await before;
    // What arrives late is not what is remembered.
    expect(await mayRead(HOST, 'stable')).toBe('SUITE_FORBIDDEN');
    expect(asked.rules).toBe(2);
  });

  it('lets nobody in while it cannot answer, and is asked again', async () => {
    onTheWay = () => Promise.reject(new Error('the disk is gone'));
    await expect(readers.checkSuite(HOST, 'stable')).rejects.toThrow('the disk is gone');
    onTheWay = () => {};
    expect(await mayRead(HOST, 'stable')).toBe('yes');
  });
});

describe('a file of the pool', () => {
  it('is there for every reader of a suite that lists it', async () => {
    await list('secret');
    expect(await mayFetch(HOST)).toBe('SUITE_FORBIDDEN');
    await list('stable');
    expect(await mayFetch(HOST)).toBe('yes');
    for (const role of ROLES.filter((one) => one !== 'host')) {
      expect(await mayFetch({ ...HOST, role })).toBe('yes');
    }
  });

  it('stays there when it is listed no more, for a host that fetches what it has read before', async () => {
    await list('stable');
    await catalog.run('update listing set removed_in = 2');
    expect(await mayFetch(HOST)).toBe('yes');
  });

  it('is asked for once, whoever fetches it', async () => {
    await list('stable');
    await list('secret');
    for (let count = 0; count < 5; count += 1) await mayFetch(HOST);
    await mayFetch({ name: 'ci', role: 'uploader', suites: ['secret'] });
    expect(asked.files).toEqual([FILE]);
  });

  it('that no suite lists is there for observers and admins alone', async () => {
    expect(await mayFetch(HOST)).toBe('not there');
    expect(await mayFetch({ ...HOST, role: 'uploader' })).toBe('not there');
    expect(await mayFetch({ ...HOST, role: 'observer' })).toBe('yes');
    expect(await mayFetch({ ...HOST, role: 'admin' })).toBe('yes');
    await list('stable');
    expect(await mayFetch(HOST)).toBe('yes');
  });

  it('is not there for a host without a record, though others have fetched it', async () => {
    await list('stable');
    expect(await mayFetch(HOST)).toBe('yes');
    expect(await mayFetch({ ...HOST, name: 'gone' })).toBe('SUITE_FORBIDDEN');
  });
});
