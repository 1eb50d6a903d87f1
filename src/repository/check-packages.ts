/**
 * Whether every package is what the catalog says: the bytes in the pool read back and hashed, the
 * stanza made again from the archive itself. What is deleted meanwhile is no fault. Floor 3.
 */
import { createHash } from 'node:crypto';
import {
  findRecordedBytes,
  listListingFaults,
  measurePackages,
  pagePackages,
} from '../catalog/checking.ts';
import { listPackageFiles } from '../catalog/package-files.ts';
import type { PackageRow } from '../catalog/packages.ts';
import { RefusalError, systemCode } from '../errors.ts';
import type { Check } from './check-parts.ts';
import type { FindingCode } from './findings.ts';
import { spellPackage } from './pool-lock.ts';
import { rereadPackage } from './reread.ts';

const PAGE_PACKAGES = 200;
const MAX_LISTING_FAULTS = 1000;

interface Fault {
  code: FindingCode;
  why: string;
}

interface RecordedFile {
  filename: string;
  size: number;
  sha256: string;
}

const nameOf = ({ name, version, architecture }: PackageRow): string =>
  `${name} ${version} ${architecture}`;

/** The SHA256 of a stored object, in lower-case hex. */
async function hashObject({ parts, findings }: Check, key: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of await parts.storage.read(key)) {
    hash.update(chunk as Buffer);
    findings.read.bytes += (chunk as Buffer).length;
    findings.advance((chunk as Buffer).length);
  }
  return hash.digest('hex');
}

async function findFileFault(check: Check, file: RecordedFile): Promise<Fault | undefined> {
  const stat = await check.parts.storage.stat(file.filename);
  if (!stat) return { code: 'package.missing', why: `${file.filename} is not there` };
  if (stat.size !== file.size) {
    const why = `${file.filename} has ${stat.size} bytes, not ${file.size}`;
    return { code: 'package.size', why };
  }
  if (check.quick) return undefined;
  const sha256 = await hashObject(check, file.filename);
  if (sha256 === file.sha256) return undefined;
  const why = `${file.filename} has SHA256 ${sha256}, not ${file.sha256}`;
  return { code: 'package.bytes', why };
}

/** Only after the bytes were found to be the recorded ones. */
async function findStanzaFault({ parts }: Check, row: PackageRow): Promise<Fault | undefined> {
  try {
    const read = await rereadPackage(parts.storage, row, row.component);
    const isSame = read.stanza.equals(Buffer.from(row.stanza));
    const isNamed = spellPackage(read) === spellPackage(row);
    if (isSame && isNamed) return undefined;
    return { code: 'package.stanza', why: 'its index entry is not what its archive says' };
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    return { code: 'package.unreadable', why: error.message };
  }
}

async function findPackageFault(check: Check, row: PackageRow): Promise<Fault | undefined> {
  try {
    const fault = await findFileFault(check, row);
    if (fault) return fault;
    const further = row.kind === 'dsc' ? await listPackageFiles(check.parts.catalog, row.id) : [];
    for (const file of further) {
      const found = await findFileFault(check, file);
      if (found) return found;
    }
    return check.quick ? undefined : await findStanzaFault(check, row);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    return { code: 'package.missing', why: `${row.filename} is not there` };
  }
}

/** Swept, or swept and added again with other bytes, while it was read. */
async function isStillRecorded({ parts }: Check, row: PackageRow): Promise<boolean> {
  const now = await findRecordedBytes(parts.catalog, row.id);
  return now?.sha256 === row.sha256 && now.filename === row.filename;
}

/** Every package against its bytes. */
export async function checkPackages(check: Check): Promise<void> {
  const { parts, findings } = check;
  const { packages, bytes } = await measurePackages(parts.catalog);
  findings.begin('packages', check.quick ? packages : bytes);
  for (let after = ''; ; ) {
    const rows = await pagePackages(parts.catalog, after, PAGE_PACKAGES);
    for (const row of rows) {
      check.signal.throwIfAborted();
      const fault = await findPackageFault(check, row);
      if (fault && (await isStillRecorded(check, row))) {
        findings.fault(fault.code, nameOf(row), fault.why);
        check.damaged.push({ id: row.id, filename: row.filename, code: fault.code });
      }
      findings.read.packages += 1;
      if (check.quick) findings.advance(1);
      after = row.id;
    }
    if (rows.length < PAGE_PACKAGES) return;
  }
}

/** Every listing against its package and its suite. */
export async function checkListings({ parts, findings }: Check): Promise<void> {
  for (const row of await listListingFaults(parts.catalog, MAX_LISTING_FAULTS)) {
    const subject = `${row.suite} ${row.component} ${row.name ?? row.package_id}`;
    const span = `listed from ${row.added_in}${row.removed_in === null ? '' : ` to before ${row.removed_in}`}`;
    const why =
      row.name === null
        ? `${span}, but there is no such package`
        : row.publication === null
          ? `${span}, but there is no such suite`
          : `${span}, but the current publication is ${row.publication}`;
    findings.fault('listing', subject, why);
  }
}
