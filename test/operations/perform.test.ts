/**
 * perform(): who may ask for what, what is refused before it runs, what is written down. Every
 * operation is here by type: a new one does not compile without a row.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROLES, type Role } from '../../src/authority/profiles.ts';
import { RefusalError } from '../../src/errors.ts';
import type { Actor, Operation } from '../../src/operations/operation.ts';
import { perform } from '../../src/operations/perform.ts';
import {
  type InputOf,
  OPERATIONS,
  type OperationName,
  type OutputOf,
} from '../../src/operations/table.ts';
import type { ReceivedFile } from '../../src/repository/ingest.ts';
import { exportKeyring, generateSigningKey, readSigningKey } from '../../src/signing/key.ts';
import { createPackage } from '../repository/open.ts';
import { ACTORS, createCsr, type OpenSite, openSite } from './open.ts';

const NAMES = Object.keys(OPERATIONS) as OperationName[];

/** Who may, by README and contract: a host nothing, an uploader its part, an observer all reads. */
const ALLOWED: { readonly [Name in OperationName]: readonly Role[] } = {
  'status.show': ['uploader', 'observer', 'admin'],
  'certificate.issue': ['admin'],
  'certificate.self': ROLES,
  'certificate.renew': ROLES,
  'certificate.list': ['observer', 'admin'],
  'certificate.show': ['observer', 'admin'],
  'certificate.revoke': ['admin'],
  'certificate.test': ['observer', 'admin'],
  'authority.list': ['observer', 'admin'],
  'authority.rotate': ['admin'],
  'authority.finish': ['admin'],
  'crl.show': ['observer', 'admin'],
  'crl.refresh': ['admin'],
  'crl.export': ['observer', 'admin'],
  'suite.create': ['admin'],
  'suite.list': ['uploader', 'observer', 'admin'],
  'suite.show': ['uploader', 'observer', 'admin'],
  'suite.publish': ['admin'],
  'suite.import': ['admin'],
  'import.list': ['observer', 'admin'],
  'suite.export': ['admin'],
  'backup.snapshot': ['admin'],
  'suite.set': ['admin'],
  'suite.remove': ['admin'],
  'package.add': ['uploader', 'admin'],
  'package.list': ['uploader', 'observer', 'admin'],
  'package.show': ['uploader', 'observer', 'admin'],
  'package.copy': ['uploader', 'admin'],
  'package.phase': ['admin'],
  'package.remove': ['admin'],
  'publication.list': ['uploader', 'observer', 'admin'],
  'publication.diff': ['uploader', 'observer', 'admin'],
  'publication.rollback': ['admin'],
  'publication.show': ['uploader', 'observer', 'admin'],
  'signer.add': ['admin'],
  'signer.list': ['observer', 'admin'],
  'signer.remove': ['admin'],
  'key.show': ['uploader', 'observer', 'admin'],
  'key.export': ['uploader', 'observer', 'admin'],
  'key.rotate': ['admin'],
  'key.finish': ['admin'],
  'key.package': ['uploader', 'observer', 'admin'],
  'host.add': ['admin'],
  'host.list': ['observer', 'admin'],
  'host.show': ['observer', 'admin'],
  'host.apt': ['admin'],
  'host.set': ['admin'],
  'host.remove': ['admin'],
  'group.create': ['admin'],
  'group.list': ['observer', 'admin'],
  'group.show': ['observer', 'admin'],
  'group.set': ['admin'],
  'group.remove': ['admin'],
  'host.enrol': ['enrolment'],
  'host.report': ['host'],
  'server.renew': ['admin'],
  'check.start': ['observer', 'admin'],
  'check.repair': ['admin'],
  'check.show': ['observer', 'admin'],
  'sweep.show': ['observer', 'admin'],
  'sweep.run': ['admin'],
  'audit.list': ['observer', 'admin'],
  'audit.verify': ['observer', 'admin'],
};

/** The operations that change something. */
const CHANGES: readonly OperationName[] = [
  ...(['certificate.issue', 'certificate.revoke', 'crl.refresh', 'suite.create'] as const),
  ...(['authority.rotate', 'authority.finish', 'key.rotate', 'key.finish'] as const),
  ...(['suite.set', 'suite.remove', 'package.copy', 'package.phase'] as const),
  ...(['package.remove', 'publication.rollback', 'signer.add', 'signer.remove'] as const),
  ...(['suite.import', 'suite.export', 'backup.snapshot'] as const),
  ...(['suite.publish', 'package.add', 'host.add', 'host.set', 'host.remove'] as const),
  ...(['group.create', 'group.set', 'group.remove', 'sweep.run', 'check.repair'] as const),
  ...(['certificate.renew', 'host.enrol', 'host.report', 'server.renew'] as const),
];

let site: OpenSite;
let examples: { readonly [Name in OperationName]: InputOf<Name> };
let file: ReceivedFile;
/** Who asks where an admin may not, or has no certificate of their own. */
const others = new Map<OperationName, Actor>();
const askerOf = (name: OperationName): Actor => others.get(name) ?? ACTORS.admin;

beforeAll(async () => {
  site = await openSite();
  const packages = `${site.data}/to-import`;
  mkdirSync(packages);
  writeFileSync(`${packages}/moved.deb`, createPackage({ name: 'moved' }));
  file = await site.receive(createPackage({ name: 'hello' }));
  const web = { name: 'web', role: 'host', csr: createCsr() } as const;
  const { pem, serial } = await perform(site.parts, ACTORS.admin, 'certificate.issue', web);
  for (const name of ['certificate.self', 'certificate.renew', 'host.report'] as const) {
    others.set(name, { ...ACTORS.host, name: 'web', serial });
  }
  await perform(site.parts, ACTORS.admin, 'host.add', { host: 'fresh' });
  const kits = await perform(site.parts, ACTORS.admin, 'certificate.show', {
    certificate: 'fresh',
  });
  const passing = { name: 'passing', origin: 'Uni', label: 'Uni' };
  await perform(site.parts, ACTORS.admin, 'suite.create', passing);
  const signerKey = await readSigningKey(await generateSigningKey('Signer', new Date(0)));
  const signerKeyring = exportKeyring([signerKey]).armored;
  const signerFingerprint = signerKey.getFingerprint();
  others.set('host.enrol', {
    ...{ ...ACTORS.host, name: 'fresh', role: 'enrolment' },
    serial: kits.certificates[0]?.serial ?? '',
  });
  examples = {
    'status.show': {},
    'certificate.issue': {
      ...{ name: 'ci', role: 'uploader', csr: createCsr(), suites: ['stable'] },
      packages: ['hel*'],
    },
    'certificate.self': {},
    'certificate.renew': { csr: createCsr() },
    'certificate.list': {},
    'certificate.show': { certificate: 'web' },
    'certificate.revoke': { certificate: 'ci', reason: 'superseded' },
    'certificate.test': { pem },
    'authority.list': {},
    'authority.rotate': { authority: 'server' },
    'authority.finish': { authority: 'server', force: true },
    'crl.show': {},
    'crl.refresh': {},
    'crl.export': {},
    'suite.create': { name: 'testing', origin: 'Uni', label: 'Uni', validForDays: 3 },
    'suite.list': {},
    'suite.show': { suite: 'stable' },
    'suite.publish': { suite: 'stable' },
    'suite.import': { suite: 'stable', source: packages },
    'import.list': {},
    'suite.export': { directory: `${site.data}/exported`, suites: ['stable'] },
    'backup.snapshot': {},
    'suite.set': { suite: 'testing', description: 'what comes next' },
    'suite.remove': { suite: 'passing' },
    'package.add': { files: [file], suite: 'stable' },
    'package.list': { query: 'hel', suite: 'stable' },
    'package.show': { package: 'hello', version: '1.0' },
    'package.copy': { from: 'stable', to: 'testing', packages: [{ package: 'hello' }] },
    'package.phase': {
      ...{ suite: 'testing', packages: [{ package: 'hello', version: '1.0' }] },
      percentage: 10,
    },
    'package.remove': { suite: 'testing', packages: [{ package: 'hello', version: '1.0' }] },
    'publication.list': { suite: 'stable' },
    'publication.show': { suite: 'stable', number: 1 },
    'publication.diff': { suite: 'stable', from: 1, to: 2 },
    'publication.rollback': { suite: 'testing', to: 2, reason: 'it was better' },
    'signer.add': { keyring: signerKeyring },
    'signer.list': {},
    'signer.remove': { signer: signerFingerprint },
    'key.show': {},
    'key.export': {},
    'key.rotate': {},
    'key.finish': { force: true },
    'key.package': {},
    'host.add': { host: 'db', group: 'default' },
    'host.list': {},
    'host.show': { host: 'web' },
    'host.apt': { host: 'web', root: '/tmp/root', key: 'web.key' },
    'host.set': { host: 'db', group: 'default' },
    'host.remove': { host: 'db' },
    'group.create': { group: 'lab', suites: ['stable'], description: 'the laboratory' },
    'group.list': {},
    'group.show': { group: 'default' },
    'group.set': { group: 'lab', suites: ['stable'], description: '' },
    'group.remove': { group: 'lab' },
    'check.start': { quick: true },
    'check.repair': { quick: true },
    'check.show': {},
    'sweep.show': {},
    'sweep.run': { foreign: false },
    'audit.list': { since: '2021-05-14', after: 0, limit: 10 },
    'audit.verify': { head: `0:${'0'.repeat(64)}` },
    'host.enrol': { csr: createCsr() },
    'host.report': { serverCa: 'a'.repeat(64), keyring: 'b'.repeat(64), client: '0.1.0' },
    'server.renew': {},
  };
});
afterAll(async () => {
  await site.discard(file);
  await site.close();
});

const readAudit = (): Promise<OutputOf<'audit.list'>['entries']> =>
  perform(site.parts, ACTORS.admin, 'audit.list', {}).then(({ entries }) => entries);

/** What the audit log gained, oldest first. */
async function recordAudit(work: () => Promise<unknown>) {
  const before = (await readAudit()).length;
  await work();
  const after = await readAudit();
  return after.slice(0, after.length - before).reverse();
}

const refusalOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'nothing was refused',
    (error: unknown) => (error instanceof RefusalError ? error.code : error),
  );

describe('the table', () => {
  it.each(NAMES)('%s has a summary, roles, and says whether it changes anything', (name) => {
    const operation = OPERATIONS[name] as unknown as Operation;
    expect(operation.summary).toMatch(/^[A-Z].{3,99}[^.]$/);
    expect([...operation.roles].sort()).toEqual([...ALLOWED[name]].sort());
    expect(operation.changes).toBe(CHANGES.includes(name));
  });
});

describe('an operation that is allowed', () => {
  // In the order of the table, which each one's example fits into.
  it.each(NAMES)('%s answers what its schema says, and JSON carries it whole', async (name) => {
    const output = await perform(site.parts, askerOf(name), name, examples[name]);
    const schema = (OPERATIONS[name] as unknown as Operation).output;
    expect(schema.parse(output)).toEqual(output);
    expect(schema.parse(JSON.parse(JSON.stringify(output)))).toEqual(output);
    // A kit holds the key that is good once.
    if (name !== 'host.add') expect(JSON.stringify(output)).not.toContain('PRIVATE KEY');
  });

  it.each(NAMES.filter((name) => !CHANGES.includes(name)))(
    '%s leaves no trace, because it changes nothing',
    async (name) => {
      const asker = askerOf(name);
      const rows = await recordAudit(() => perform(site.parts, asker, name, examples[name]));
      expect(rows).toEqual([]);
    },
  );

  it('that changed something is written down with who, from where and what', async () => {
    site.clock.now += 1000;
    const at = new Date(site.clock.now).toISOString();
    const rows = await recordAudit(() =>
      perform(site.parts, ACTORS.admin, 'suite.publish', { suite: 'stable' }),
    );
    const { name: actor, role, serial, address } = ACTORS.admin;
    expect(rows).toEqual([
      {
        ...{ number: expect.any(Number), at, actor, role, serial, address },
        ...{ operation: 'suite.publish', subject: 'stable', outcome: 'done', detail: '' },
        hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    ]);
  });
});

describe('a role', () => {
  it.each(ROLES)(
    '%s is refused everything it may not ask for, before the input is read',
    async (role) => {
      const forbidden = NAMES.filter((name) => !ALLOWED[name].includes(role));
      expect(forbidden).toContain('host.enrol');
      const rows = await recordAudit(async () => {
        for (const name of forbidden) {
          const refused = perform(site.parts, ACTORS[role], name, { nonsense: true });
          const roles = ALLOWED[name].join(' or ');
          await expect(refused, name).rejects.toMatchObject({
            code: 'ROLE_FORBIDDEN',
            message: `${name} needs the role ${roles}; the-${role} is ${role}`,
          });
        }
      });
      // A refused role is written down for reads too: somebody tried a door that is not theirs.
      expect(rows.map((row) => [row.operation, row.actor, row.outcome])).toEqual(
        forbidden.map((name) => [name, `the-${role}`, 'refused ROLE_FORBIDDEN']),
      );
    },
  );

  it('uploader is kept to its suites', async () => {
    const limited = { ...ACTORS.uploader, suites: ['testing'] };
    const rows = await recordAudit(async () => {
      const input = { files: [file], suite: 'stable' };
      const refused = perform(site.parts, limited, 'package.add', input);
      expect(await refusalOf(refused)).toBe('SUITE_FORBIDDEN');
    });
    expect(rows.map((row) => row.outcome)).toEqual(['refused SUITE_FORBIDDEN']);
  });

  it('uploader is kept to its suites when it reads, and told which those are', async () => {
    const limited = { ...ACTORS.uploader, suites: ['testing'] };
    const refused = ['suite.show', 'publication.list', 'publication.show', 'package.show'] as const;
    const rows = await recordAudit(async () => {
      for (const name of refused) {
        await expect(perform(site.parts, limited, name, examples[name])).rejects.toMatchObject({
          code: 'SUITE_FORBIDDEN',
          message: 'uploader the-uploader may read testing, not "stable"',
        });
      }
    });
    expect(rows.map((row) => row.operation)).toEqual(refused);
    const { suites } = await perform(site.parts, limited, 'suite.list', {});
    expect(suites.map((one) => one.name)).toEqual(['testing']);
    const { packages } = await perform(site.parts, limited, 'package.list', {});
    // The server's own, for the hosts of every suite.
    expect(new Set(packages.map((one) => `${one.suite} ${one.package}`))).toEqual(
      new Set(['testing aptkeep-archive-keyring', 'testing aptkeep-client']),
    );
    const status = await perform(site.parts, limited, 'status.show', {});
    expect(JSON.stringify(status)).not.toContain('stable');
  });

  it('uploader is kept to its packages, by the name inside and before anything is placed', async () => {
    const limited = { ...ACTORS.uploader, packages: ['lu-*'] };
    const other = await site.receive(createPackage({ name: 'hello', version: '2' }));
    const input = { files: [other], suite: 'stable' };
    await expect(perform(site.parts, limited, 'package.add', input)).rejects.toMatchObject({
      code: 'PACKAGE_FORBIDDEN',
      message: 'the-uploader may add the packages lu-*, not hello',
    });
    await site.discard(other);
  });
});

describe('an input', () => {
  it.each(NAMES)('of %s with an unknown key is refused, and the key named', async (name) => {
    const input = { ...examples[name], validForDay: 3 };
    await expect(perform(site.parts, askerOf(name), name, input)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining('validForDay'),
    });
  });

  it.each(NAMES)('of %s that is no object is refused', async (name) => {
    for (const input of [null, 'text', 7, []]) {
      expect(await refusalOf(perform(site.parts, askerOf(name), name, input))).toBe(
        'INPUT_INVALID',
      );
    }
  });

  it.each(NAMES.filter((name) => name !== 'package.add'))(
    'of %s with a value of another type is refused, and the key named',
    async (name) => {
      for (const key of Object.keys(examples[name])) {
        const input = { ...examples[name], [key]: { not: 'this' } };
        await expect(
          perform(site.parts, askerOf(name), name, input),
          `${name} ${key}`,
        ).rejects.toMatchObject({
          code: 'INPUT_INVALID',
          message: expect.stringMatching(new RegExp(`^${key}: `)),
        });
      }
    },
  );

  it.each<[OperationName, Record<string, unknown>, string]>([
    ['certificate.issue', { name: 'x', role: 'root', csr: '' }, 'role'],
    ['certificate.issue', { name: 'x', role: 'host', csr: '', days: 0 }, 'days'],
    ['certificate.issue', { name: 'x', role: 'host', csr: '', days: 1.5 }, 'days'],
    ['certificate.issue', { name: 'x', role: 'host', csr: 'x', suites: ['stable'] }, 'suites'],
    ['certificate.issue', { name: 'x', role: 'admin', csr: 'x', packages: ['a'] }, 'packages'],
    ['certificate.issue', { name: 'x', role: 'uploader', csr: 'x', packages: [] }, 'packages'],
    ['certificate.issue', { name: 'x', role: 'uploader', csr: 'x', packages: ['A*'] }, 'A*'],
    ['certificate.issue', { name: 'x', role: 'uploader', csr: 'x', packages: ['a?'] }, 'a?'],
    ['certificate.issue', { name: 'x', role: 'uploader', csr: 'x', packages: ['a/*'] }, 'a/*'],
    ['certificate.show', { certificate: '' }, 'certificate'],
    ['certificate.revoke', { certificate: 'web', reason: 'because' }, 'reason'],
    ['suite.create', { name: 'x', origin: 'x', label: 'x', validForDays: 'soon' }, 'validForDays'],
    ['publication.show', { suite: 'stable', number: 'one' }, 'number'],
    ['package.add', { files: [], suite: 'stable' }, 'files'],
    ['host.add', { host: '../x' }, '../x'],
    ['group.create', { group: '../x' }, '../x'],
    ['group.create', { group: 'x', suites: [] }, 'suites'],
    ['group.create', { group: 'x', description: 'two\nlines' }, 'description'],
    ['group.set', { group: 'default' }, 'nothing to set'],
    ['host.apt', { host: 'web', root: 'relative' }, 'root'],
    ['host.apt', { host: 'web', root: '/two\nlines' }, 'root'],
    ['host.apt', { host: 'web', root: '/a blank' }, 'root'],
    ['host.apt', { host: 'web', root: '/"quoted"' }, 'root'],
    ['host.apt', { host: 'web', root: '/' }, 'root'],
    ['host.apt', { host: 'web', key: 'k\nreboot' }, 'key'],
    ['audit.list', { since: 'yesterday' }, 'since'],
    ['audit.list', { since: 'foo 12' }, 'since'],
    ['audit.list', { since: '2021-13-01' }, 'since'],
    ['audit.list', { limit: 0 }, 'limit'],
    ['audit.list', { after: -1 }, 'after'],
    ['audit.list', { after: 'all' }, 'after'],
    ['audit.verify', { head: '12' }, 'head'],
    ['audit.verify', { head: `12:${'g'.repeat(64)}` }, 'head'],
  ])('of %s like %j is refused, and what is wrong named', async (name, input, named) => {
    await expect(perform(site.parts, ACTORS.admin, name, input)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      message: expect.stringContaining(named),
    });
  });

  it('is refused on one line, without a path of the server', async () => {
    const names = ['suite.show', 'suite.publish', 'publication.list'] as const;
    for (const name of names) {
      const long = `x\n${'y'.repeat(10_000)}`;
      const message = await perform(site.parts, ACTORS.admin, name, { suite: long }).then(
        () => '',
        (error: Error) => error.message,
      );
      expect(message).toMatch(/^there is no suite "x\\ny+"$/);
      expect(message.length).toBeLessThan(200);
    }
  });

  it('that is refused for a change is written down, cut to size', async () => {
    const rows = await recordAudit(async () => {
      const input = { suite: 'z'.repeat(5000) };
      const refused = perform(site.parts, ACTORS.admin, 'suite.publish', input);
      expect(await refusalOf(refused)).toBe('SUITE_UNKNOWN');
      const read = perform(site.parts, ACTORS.admin, 'suite.show', { suite: 'nowhere' });
      expect(await refusalOf(read)).toBe('SUITE_UNKNOWN');
    });
    expect(rows.map((row) => row.outcome)).toEqual(['refused SUITE_UNKNOWN']);
    expect(rows[0]?.subject).toHaveLength(1000);
  });
});

describe('what nobody made', () => {
  it.each<[OperationName, Record<string, unknown>, string]>([
    ['suite.show', { suite: 'nowhere' }, 'SUITE_UNKNOWN'],
    ['suite.publish', { suite: 'nowhere' }, 'SUITE_UNKNOWN'],
    ['publication.list', { suite: 'nowhere' }, 'SUITE_UNKNOWN'],
    ['publication.show', { suite: 'stable', number: 999 }, 'PUBLICATION_UNKNOWN'],
    ['package.show', { package: 'nothing' }, 'PACKAGE_UNKNOWN'],
    ['package.show', { package: 'hello', version: '9' }, 'PACKAGE_UNKNOWN'],
    ['certificate.show', { certificate: 'nobody' }, 'CERTIFICATE_UNKNOWN'],
    ['certificate.revoke', { certificate: 'nobody' }, 'CERTIFICATE_UNKNOWN'],
    ['certificate.revoke', { certificate: '0123456789abcdef0123' }, 'CERTIFICATE_UNKNOWN'],
    ['host.show', { host: 'nobody' }, 'HOST_UNKNOWN'],
    ['host.apt', { host: 'nobody' }, 'HOST_UNKNOWN'],
    ['host.remove', { host: 'nobody' }, 'HOST_UNKNOWN'],
    ['host.set', { host: 'nobody', group: 'default' }, 'HOST_UNKNOWN'],
    ['host.set', { host: 'web', group: 'nothing' }, 'GROUP_UNKNOWN'],
    ['host.add', { host: 'new', group: 'nothing' }, 'GROUP_UNKNOWN'],
    ['group.show', { group: 'nothing' }, 'GROUP_UNKNOWN'],
    ['group.set', { group: 'nothing', suites: null }, 'GROUP_UNKNOWN'],
    ['group.set', { group: 'default', suites: ['nowhere'] }, 'SUITE_UNKNOWN'],
    ['group.create', { group: 'x', suites: ['nowhere'] }, 'SUITE_UNKNOWN'],
    ['group.remove', { group: 'nothing' }, 'GROUP_UNKNOWN'],
  ])('%s %j is refused with %s', async (name, input, code) => {
    expect(await refusalOf(perform(site.parts, ACTORS.admin, name, input))).toBe(code);
  });

  it.each<[OperationName, Record<string, unknown>, string]>([
    ['suite.create', { name: 'stable', origin: 'x', label: 'x' }, 'SUITE_EXISTS'],
    ['host.add', { host: 'web' }, 'HOST_EXISTS'],
    ['host.remove', { host: 'web' }, 'INPUT_INVALID'],
    ['group.create', { group: 'default' }, 'GROUP_EXISTS'],
    ['group.remove', { group: 'default' }, 'GROUP_IN_USE'],
  ])('but what is there stays: %s %j', async (name, input, code) => {
    expect(await refusalOf(perform(site.parts, ACTORS.admin, name, input))).toBe(code);
  });
});

describe('the apt files of a host', () => {
  it('name the suites that its group may read, and no others', async () => {
    const listSuites = async (): Promise<string[]> => {
      const { files } = await perform(site.parts, ACTORS.admin, 'host.apt', { host: 'web' });
      const sources = files.find((one) => one.path.endsWith('.sources'))?.content ?? '';
      return [...sources.matchAll(/^Suites: (.*)$/gm)].map((match) => match[1] ?? '');
    };
    expect(await listSuites()).toEqual(['stable', 'testing']);
    await perform(site.parts, ACTORS.admin, 'group.create', { group: 'few', suites: ['testing'] });
    await perform(site.parts, ACTORS.admin, 'host.set', { host: 'web', group: 'few' });
    expect(await listSuites()).toEqual(['testing']);
  });
});

describe('packages', () => {
  it('are listed with % and _ in a query taken as they stand', async () => {
    for (const query of ['%', '_', 'h%o', '!']) {
      const found = await perform(site.parts, ACTORS.admin, 'package.list', { query });
      expect(found.packages).toEqual([]);
    }
  });

  it('are shown newest first, as dpkg orders versions', async () => {
    const versions = ['1.9', '1.10', '1.10~rc1', '1:0.1', '1.10-2'];
    for (const version of versions) {
      const one = await site.receive(createPackage({ name: 'many', version }));
      const input = { files: [one], suite: 'stable' };
      await perform(site.parts, ACTORS.uploader, 'package.add', input);
    }
    const shown = await perform(site.parts, ACTORS.admin, 'package.show', { package: 'many' });
    // dpkg --compare-versions: 1:0.1 > 1.10-2 > 1.10 > 1.10~rc1 > 1.9
    const order = ['1:0.1', '1.10-2', '1.10', '1.10~rc1', '1.9'];
    expect(shown.packages.map((one) => one.version)).toEqual(order);
    expect(shown.packages[0]?.stanza).toMatch(/^Package: many\nVersion: 1:0\.1\n/);
  });
});
