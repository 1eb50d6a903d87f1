/**
 * What was published is not taken back: where certs/crl.pem holds a newer list of ours than the
 * catalog, the catalog is an older one, restored or put there, and what it has lost is taken into
 * it again: the revocations and the number. Source of truth: RFC 5280 section 5.2.3. Floor 3.
 */
import { markRevoked } from '../catalog/certificates.ts';
import { type CrlRow, findLastCrlNumber, findLatestCrl, insertCrl } from '../catalog/crls.ts';
import type { Catalog } from '../catalog/sql.ts';
import type { Logger } from '../log.ts';
import type { CertificateFacts } from '../pki/certificate.ts';
import { isNewerCrl, type RevocationList, readCrl, splitCrls, writeCrlPem } from '../pki/crl.ts';
import type { CertsFolder } from './files.ts';

interface Published {
  list: RevocationList;
  pem: string;
}

/** The lists in certs/crl.pem, unread; the file is ours, and may still hold anything. */
async function readPublished(certs: CertsFolder): Promise<string[]> {
  if (!(await certs.exists('crl.pem'))) return [];
  try {
    return splitCrls(Buffer.from(await certs.readText('crl.pem'))).map(writeCrlPem);
  } catch {
    return []; // the next list takes its place
  }
}

/** What this authority signed and is newer than its latest in the catalog. */
function readNewer(
  pem: string,
  facts: CertificateFacts,
  latest: CrlRow | undefined,
): Published | undefined {
  // As it is at nearly every start, however long the list.
  if (pem === latest?.pem) return undefined;
  try {
    const list = readCrl(pem, facts);
    const isNewer = !latest || isNewerCrl(list, readCrl(latest.pem, facts));
    return isNewer ? { list, pem } : undefined;
  } catch {
    return undefined; // of the other authority while one is rotated, or damaged
  }
}

async function takeBack(
  catalog: Catalog,
  authority: string,
  { list, pem }: Published,
): Promise<number> {
  return catalog.transaction(async (sql) => {
    let regained = 0;
    for (const { serial, revokedAt, reason = 'unspecified' } of list.entries) {
      if (await markRevoked(sql, serial, revokedAt.toISOString(), reason)) regained += 1;
    }
    // Where lists were issued from the older catalog meanwhile, their numbers lead on.
    if ((await findLastCrlNumber(sql)) < list.number) {
      const [this_update, next_update] = [list.thisUpdate, list.nextUpdate].map((time) =>
        time.toISOString(),
      ) as [string, string];
      const { number } = list;
      await insertCrl(sql, {
        ...{ number, authority, this_update, next_update, pem, issued_at: this_update },
      });
    }
    return regained;
  });
}

/** Before the catalog's certificates and lists are read. */
export async function regainPublished(
  catalog: Catalog,
  certs: CertsFolder,
  authorities: readonly CertificateFacts[],
  log: Logger,
): Promise<void> {
  for (const pem of await readPublished(certs)) {
    for (const facts of authorities) {
      const latest = await findLatestCrl(catalog, facts.fingerprint);
      const newer = readNewer(pem, facts, latest);
      if (!newer) continue;
      const revocations = await takeBack(catalog, facts.fingerprint, newer);
      log.error({
        event: 'catalog older than its list',
        why: 'certs/crl.pem is newer than the catalog, which was restored or replaced: what was revoked since is revoked again',
        ...{ listed: newer.list.number, recorded: latest?.number ?? 0, revocations },
      });
    }
  }
}
