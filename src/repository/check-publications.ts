/**
 * Whether every kept publication is what was published: its signatures, its files read back against
 * what Release says of them, its indexes made again from the catalog. Floor 3.
 */
import { countKept, pageDates } from '../catalog/checking.ts';
import { findPublication, type PublicationRow, pagePublications } from '../catalog/publications.ts';
import { listSuites } from '../catalog/suites.ts';
import { systemCode } from '../errors.ts';
import { listPublicKeys } from '../signing/signing-key.ts';
import { findPublishedFault, UNKNOWN_SIGNER } from '../signing/verify.ts';
import { CatalogDigests } from './catalog-digests.ts';
import type { Check } from './check-parts.ts';
import { defineIndexes } from './index-definitions.ts';
import { IndexDigests } from './index-digests.ts';
import { loadFiles, type PublishedFile } from './published-files.ts';
import { readSuiteRow, type Suite } from './suites.ts';

const PAGE_DATES = 1000;

/** What is remembered while the publications of one suite are read, oldest first. */
interface SuiteCheck extends Check {
  suite: Suite;
  stored: IndexDigests;
  recorded: CatalogDigests;
  /** `path sha256` of what was read and is whole. */
  whole: Set<string>;
}

/** Every suite: the chain of its dates, its pointer, its kept publications. */
export async function checkPublications(check: Check): Promise<void> {
  const { parts, findings } = check;
  for (const row of await listSuites(parts.catalog)) {
    const suite = readSuiteRow(row);
    findings.begin(`suite ${suite.name}`, await countKept(parts.catalog, suite.name));
    await checkDates(check, suite);
    await checkPointer(check, suite);
    const stored = new IndexDigests(parts.storage, (bytes) => {
      findings.read.bytes += bytes;
    });
    const recorded = new CatalogDigests(parts.catalog, suite.name);
    await checkKept({ ...check, suite, stored, recorded, whole: new Set() });
  }
}

/** A Date that did not grow is one that a host ignores in silence. */
async function checkDates({ parts, findings }: Check, { name }: Suite): Promise<void> {
  let before = { number: 0, date: '' };
  for (;;) {
    const rows = await pageDates(parts.catalog, name, before.number, PAGE_DATES);
    for (const row of rows) {
      if (Date.parse(row.date) <= Date.parse(before.date || '1970-01-01')) {
        const why = `its Date ${row.date} is not later than ${before.date} of ${before.number}`;
        findings.fault('publication.date', `${name} ${row.number}`, why);
      }
      before = row;
    }
    if (rows.length < PAGE_DATES) return;
  }
}

async function checkPointer({ parts, findings }: Check, suite: Suite): Promise<void> {
  const { name, publication } = suite;
  if (publication === 0) return;
  const row = await findPublication(parts.catalog, name, publication);
  const why =
    row === undefined
      ? 'the suite points at it, and there is no such publication'
      : row.release === ''
        ? 'the suite points at it, and its texts are gone'
        : undefined;
  if (why) findings.fault('publication.pointer', `${name} ${publication}`, why);
}

async function checkKept(check: SuiteCheck): Promise<void> {
  const { catalog } = check.parts;
  for (let after = 0; ; ) {
    const [row] = await pagePublications(catalog, check.suite.name, after, 1);
    if (!row) return;
    after = row.number;
    check.signal.throwIfAborted();
    if (check.quick && row.number !== check.suite.publication) continue;
    await checkPublication(check, row);
    check.findings.read.publications += 1;
    check.findings.advance(1);
  }
}

async function checkPublication(check: SuiteCheck, row: PublicationRow): Promise<void> {
  const subject = `${row.suite} ${row.number}`;
  const isCurrent = row.number >= check.suite.publication;
  const faults: [Parameters<Check['findings']['fault']>[0], string][] = [];
  const signature = await findSignatureFault(check, row);
  if (signature && (isCurrent || signature !== UNKNOWN_SIGNER)) {
    faults.push(['publication.signature', signature]);
  }
  const release = findReleaseFault(row);
  if (release) faults.push(['publication.release', release]);
  // Swept meanwhile: then nothing of it has to be there any more.
  const files = await loadFiles(check.parts.catalog, row.suite, row.files).catch(() => undefined);
  if (!files) faults.push(['index.missing', 'where its indexes lie is not recorded']);
  for (const file of check.quick ? [] : (files ?? [])) {
    const fault = await findFileFault(check, file);
    if (fault) faults.push([fault.code, `${file.path}: ${fault.why}`]);
  }
  for (const definition of files && !check.quick ? defineIndexes(check.suite) : []) {
    const file = files?.find(({ path }) => path === definition.path);
    if (!file) continue;
    const sha256 = await check.recorded.digest(definition, row.number);
    if (sha256 === file.sha256) continue;
    const why = 'the catalog lists something else for it';
    if (isCurrent) faults.push(['index.contents', `${file.path}: ${why}`]);
  }
  if (faults.length === 0 || !(await isKept(check, row))) return;
  for (const [code, why] of faults) check.findings.fault(code, subject, why);
  // Where the catalog says something else than what was signed, nobody knows which is right.
  const isSure = !faults.some(([code]) => code === 'index.contents');
  if (isCurrent && isSure) check.broken.push(row.suite);
}

async function isKept({ parts }: Check, { suite, number }: PublicationRow): Promise<boolean> {
  return (await findPublication(parts.catalog, suite, number))?.release !== '';
}

async function findSignatureFault(
  { parts }: Check,
  row: PublicationRow,
): Promise<string | undefined> {
  const { release, in_release: inRelease, release_gpg: releaseGpg } = row;
  const at = Math.max(Date.parse(row.created_at), Date.parse(row.date));
  const keys = listPublicKeys(parts.signingKeys);
  return findPublishedFault({ release, inRelease, releaseGpg }, keys, new Date(at));
}

/** Whether the signed text is of this publication, and lists exactly the recorded files. */
function findReleaseFault(row: PublicationRow): string | undefined {
  const date = /^Date: (.*)$/m.exec(row.release)?.[1] ?? '';
  if (Date.parse(date) !== Date.parse(row.date)) return `Release says Date ${date}`;
  const section = /^SHA256:\n((?: .*\n)*)/m.exec(row.release)?.[1] ?? '';
  const signed = [...section.matchAll(/^ (\S+) +(\d+) (.*)$/gm)].map(
    ([, sha256, size, path]) => `${sha256} ${size} ${path}`,
  );
  const recorded = (JSON.parse(row.files) as PublishedFile[])
    .filter(({ isUnlisted }) => !isUnlisted)
    .map(({ sha256, size, path }) => `${sha256} ${size} ${path}`);
  const known = new Set(recorded);
  const other = signed.find((line) => !known.has(line));
  if (other === undefined && signed.length === recorded.length) return undefined;
  return `Release lists other files than are recorded: ${other ?? 'fewer'}`;
}

async function findFileFault(
  check: SuiteCheck,
  file: PublishedFile,
): Promise<{ code: 'index.missing' | 'index.bytes'; why: string } | undefined> {
  const { path, sha256, size } = file;
  if (check.whole.has(`${path} ${sha256}`)) return undefined;
  try {
    const found = await check.stored.digest(file);
    check.findings.read.indexes += 1;
    if (found.sha256 === sha256 && found.size === size) {
      check.whole.add(`${path} ${sha256}`);
      return undefined;
    }
    return { code: 'index.bytes', why: `what is stored has SHA256 ${found.sha256}, not ${sha256}` };
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return { code: 'index.missing', why: 'a piece of it is not there' };
    if (code.startsWith('Z_'))
      return { code: 'index.bytes', why: 'what is stored does not unpack' };
    throw error;
  }
}
