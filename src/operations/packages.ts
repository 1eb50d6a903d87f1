/** Operations on packages. Floor 5. */
import { z } from 'zod';
import {
  findListedPackages,
  findPackage,
  type ListedPackage,
  searchPackages,
} from '../catalog/packages.ts';
import { compareVersions } from '../deb/version.ts';
import { RefusalError } from '../errors.ts';
import type { WaitingFile } from '../repository/incoming.ts';
import { ingestPackages } from '../repository/ingest.ts';
import type { ReceivedFile } from '../repository/ingest-request.ts';
import { ingestLone } from '../repository/lone-file.ts';
import { type Actor, defineOperation, REPOSITORY_READERS } from './operation.ts';

const listed = z.object({
  package: z.string(),
  version: z.string(),
  architecture: z.string(),
  suite: z.string(),
  component: z.string(),
  source: z.string(),
  filename: z.string(),
  size: z.number(),
  sha256: z.string(),
  phased: z.number().nullable().describe('Phased-Update-Percentage; null for everybody'),
  uploadedAt: z.string(),
  uploadedBy: z.string(),
});

const added = z.object({
  package: z.string(),
  version: z.string(),
  architecture: z.string(),
  suite: z.string(),
  component: z.string(),
  filename: z.string(),
  size: z.number(),
  sha256: z.string(),
  publication: z.number().describe('the publication that holds it'),
});

const waiting = z.object({
  file: z.string().describe('the name under which it was sent'),
  size: z.number(),
  sha256: z.string(),
  until: z.string().describe('forgotten then, unless a .changes or .dsc has named it'),
});

export const waitingDescription = waiting;
export type AddedPackage = z.output<typeof added>;

const describeWaiting = ({ name, file, until }: WaitingFile): z.input<typeof waiting> => ({
  file: name,
  size: file.size,
  sha256: file.sha256,
  until: new Date(until).toISOString(),
});

function describePackage(row: ListedPackage): z.input<typeof listed> {
  return {
    package: row.name,
    version: row.version,
    architecture: row.architecture,
    suite: row.suite,
    component: row.listed_in,
    source: row.source,
    filename: row.filename,
    size: row.size,
    sha256: row.sha256,
    phased: row.phased,
    uploadedAt: row.uploaded_at,
    uploadedBy: row.uploaded_by,
  };
}

/** @throws RefusalError SUITE_FORBIDDEN where an uploader was not named for the suite. */
export function checkUploadSuite(actor: Actor, suite: string): void {
  if (actor.suites === null || actor.suites.includes(suite)) return;
  throw new RefusalError(
    'SUITE_FORBIDDEN',
    `${actor.name} may add to ${actor.suites.join(', ')}, not to ${JSON.stringify(suite.slice(0, 80))}`,
  );
}

export const addPackages = defineOperation({
  summary:
    'Add received packages, .dsc and .changes to a suite; answered when apt can install them',
  roles: ['uploader', 'admin'],
  changes: true,
  input: z.object({
    files: z.array(z.custom<ReceivedFile>()).min(1),
    suite: z.string(),
    component: z.string().optional(),
    name: z.string().optional().describe('of a file sent alone, which may have to wait'),
    publishesByChanges: z
      .boolean()
      .default(false)
      .describe('a file sent alone that is no .changes waits for one that names it'),
    anyDistribution: z
      .boolean()
      .default(false)
      .describe('also a .changes for another suite, where no signature is asked for'),
  }),
  output: z.object({
    packages: z.array(added),
    created: z.boolean(),
    waiting: z.array(waiting),
  }),
  subject: (input) => `${input.suite} ${input.files.map((file) => file.sha256).join(' ')}`,
  async run(parts, input, actor, note) {
    checkUploadSuite(actor, input.suite);
    const { name, files, suite, component, anyDistribution, publishesByChanges } = input;
    const { packages, confirm } = actor;
    const asked = {
      ...{ suite, component, anyDistribution, actor: actor.name, packages, confirm },
      notes: [note],
    };
    const [file] = files;
    const { results, waiting } =
      name !== undefined && file !== undefined && files.length === 1
        ? await ingestLone(parts.repository, parts.incoming, asked, {
            name,
            file,
            publishesByChanges,
          })
        : {
            results: await ingestPackages(parts.repository, { ...asked, files }),
            waiting: undefined,
          };
    return {
      packages: results.map(({ isNew: _isNew, ...result }) => result),
      created: results.some((result) => result.isNew),
      waiting: waiting ? [describeWaiting(waiting)] : [],
    };
  },
});

const byNameAndVersion = (a: ListedPackage, b: ListedPackage): number =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : compareVersions(b.version, a.version);

export const listPackages = defineOperation({
  summary: 'Packages that a suite lists, newest version first; QUERY is a part of the name',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({ query: z.string().default(''), suite: z.string().optional() }),
  output: z.object({ packages: z.array(listed) }),
  async run(parts, input, actor) {
    if (input.suite !== undefined) await parts.readers.checkSuite(actor, input.suite);
    const mayRead = await parts.readers.findReadable(actor);
    const rows = await searchPackages(parts.repository.catalog, input.query);
    const wanted = rows.filter(
      (row) => mayRead(row.suite) && (input.suite === undefined || row.suite === input.suite),
    );
    return { packages: wanted.sort(byNameAndVersion).map(describePackage) };
  },
});

export const showPackage = defineOperation({
  summary: 'The listed versions of a package with their stanzas, newest first',
  roles: REPOSITORY_READERS,
  changes: false,
  input: z.object({ package: z.string(), version: z.string().optional() }),
  output: z.object({ packages: z.array(z.object({ ...listed.shape, stanza: z.string() })) }),
  async run(parts, input, actor) {
    const { catalog } = parts.repository;
    const listed = (await findListedPackages(catalog, input.package)).filter(
      (row) => input.version === undefined || row.version === input.version,
    );
    const mayRead = await parts.readers.findReadable(actor);
    const rows = listed.filter((row) => mayRead(row.suite));
    const [hidden] = listed;
    if (rows.length === 0 && hidden) await parts.readers.checkSuite(actor, hidden.suite);
    if (rows.length === 0) {
      const wanted = input.version ? `${input.package}=${input.version}` : input.package;
      throw new RefusalError(
        'PACKAGE_UNKNOWN',
        `no suite lists ${JSON.stringify(wanted.slice(0, 160))}`,
      );
    }
    const packages = [];
    for (const row of rows.sort(byNameAndVersion)) {
      const whole = await findPackage(catalog, row.name, row.version, row.architecture, [row.kind]);
      packages.push({
        ...describePackage(row),
        stanza: Buffer.from(whole?.stanza ?? []).toString('utf8'),
      });
    }
    return { packages };
  },
});
