/**
 * The revocation list: issued at start, on a timer and at every revocation, also when nothing
 * changed, because a list past its nextUpdate closes the door to everyone. RFC 5280 section 5. Floor 3.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { listRevoked, revokeSuperseded } from '../catalog/certificates.ts';
import { type CrlRow, findLastCrlNumber, findLatestCrl, insertCrl } from '../catalog/crls.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { RefusalError } from '../errors.ts';
import { issueCrl, type RevocationReason, readCrl } from '../pki/crl.ts';
import type { Authority, Issuer } from './authority.ts';
import { findCommand } from './key-access.ts';
import type { Trust } from './trust.ts';

/** thisUpdate lies this far back: a host's or a proxy's clock may run behind ours. */
const CRL_BACKDATE_MS = 300_000;
/** An expired certificate stays on the list for this long after it lapsed. */
const CRL_KEEP_LAPSED_MS = 3_600_000;

const iso = (time: number): string => new Date(time).toISOString();

/** Makes the row of an authority's next list, inside the caller's transaction and lock "crl". */
async function prepareCrl(
  authority: Authority,
  sql: SqlExecutor,
  { facts, signer }: Issuer,
  number: number,
): Promise<CrlRow> {
  const previous = await findLatestCrl(sql, facts.fingerprint);
  const now = authority.now();
  const floor = previous ? Date.parse(previous.this_update) + 1000 : 0;
  const thisUpdate = Math.floor(Math.max(now - CRL_BACKDATE_MS, floor) / 1000) * 1000;
  // Rounded up, so that a list of eight seconds is good for eight seconds. Where the clock went
  // back, the list is one from the future, and still has to begin before it ends.
  const nextUpdate = Math.ceil((Math.max(now, thisUpdate) + authority.crlLifetime) / 1000) * 1000;
  await revokeSuperseded(sql, iso(now));
  const revoked = await listRevoked(sql, facts.fingerprint, iso(now - CRL_KEEP_LAPSED_MS));
  const pem = await issueCrl(signer, {
    number,
    thisUpdate: new Date(thisUpdate),
    nextUpdate: new Date(nextUpdate),
    entries: revoked.map((row) => ({
      serial: row.serial,
      revokedAt: new Date(row.revoked_at),
      reason: row.revocation_reason as RevocationReason,
    })),
  });
  return {
    number,
    authority: facts.fingerprint,
    this_update: iso(thisUpdate),
    next_update: iso(nextUpdate),
    pem,
    issued_at: iso(now),
  };
}

/** Waits until the next list's thisUpdate would not lie ahead of now: 300 lists at once may not. */
async function waitForRoom(authority: Authority): Promise<void> {
  const previous = Math.max(0, ...authority.trust.crls.map((list) => list.thisUpdate.getTime()));
  const ahead = previous + 1000 - authority.now();
  if (ahead > 0 && ahead <= CRL_BACKDATE_MS) await delay(ahead);
}

const isSame = (issuers: readonly Issuer[], trust: Trust): boolean =>
  issuers.map((one) => one.facts.fingerprint).join() ===
  trust.authorities.map((one) => one.fingerprint).join();

/** The lists in force, the issuing authority's first, as certs/crl.pem and /crl.pem have them. */
export const exportCrls = (trust: Trust): string => trust.crls.map((list) => list.pem).join('');

/** The next list of each of these authorities, one row each. */
async function prepareLists(authority: Authority, sql: SqlExecutor): Promise<CrlRow[]> {
  const rows: CrlRow[] = [];
  const last = await findLastCrlNumber(sql);
  for (const issuer of authority.issuers) {
    rows.push(await prepareCrl(authority, sql, issuer, last + rows.length + 1));
  }
  return rows;
}

async function insertLists(sql: SqlExecutor, rows: readonly CrlRow[]): Promise<void> {
  for (const row of rows) await insertCrl(sql, row);
}

type ChangeBefore = (sql: SqlExecutor) => Promise<void>;

/** The change and the lists that say so, in one transaction. */
function recordWithLists(authority: Authority, change: ChangeBefore): Promise<CrlRow[]> {
  return authority.catalog.transaction(async (sql) => {
    await change(sql);
    const rows = await prepareLists(authority, sql);
    await insertLists(sql, rows);
    return rows;
  });
}

/**
 * The change first and then the lists: a signer outside may be slow or fail. No transaction waits
 * for it, and what is revoked is refused here from the moment of the change.
 */
async function recordBeforeLists(authority: Authority, change: ChangeBefore): Promise<CrlRow[]> {
  const { catalog, trust, issuers, now } = authority;
  await catalog.transaction(change);
  trust.listOwed = true;
  for (const { facts } of issuers) {
    const since = iso(now() - CRL_KEEP_LAPSED_MS);
    for (const row of await listRevoked(catalog, facts.fingerprint, since))
      trust.forget(row.serial);
  }
  const rows = await prepareLists(authority, catalog);
  await catalog.transaction((sql) => insertLists(sql, rows));
  trust.listOwed = false;
  return rows;
}

/** Lists as they were signed come into force, and with them the authorities that they are of. */
function takeIntoForce({ trust, issuers, log }: Authority, rows: readonly CrlRow[]): void {
  const made = rows.map((row, position) => {
    const { facts } = issuers[position] as Issuer;
    return { facts, list: { ...readCrl(row.pem, facts), pem: row.pem } };
  });
  if (isSame(issuers, trust)) {
    for (const { facts, list } of made) trust.load(list, facts.fingerprint);
  } else trust.replaceAuthorities(made);
  for (const { facts, list } of made) {
    const { number, nextUpdate } = list;
    log.info({ event: 'crl.issued', authority: facts.subject.commonName, number, nextUpdate });
  }
}

/** Issue the next lists, or read those of a site's own authorities again. */
export async function renewCrls(authority: Authority): Promise<void> {
  if (authority.foreign) await authority.foreign.refresh();
  else await issueNextCrl(authority);
}

/**
 * Issue the next list of every authority of ours, together with `change` in one transaction, and
 * take it into force: whoever subscribed has it when this resolves. The authorities that count are
 * from then on those of `authority.issuers`. Number and thisUpdate only ever grow. The file
 * certs/crl.pem follows the catalog. Resolves with the issuing authority's.
 * @throws RefusalError SIGNER_FAILED: the change holds, the old list stays in force, and the trust
 *   knows that a list is owed.
 */
export async function issueNextCrl(
  authority: Authority,
  change: ChangeBefore = async () => {},
): Promise<CrlRow> {
  return authority.catalog.lock('crl', async () => {
    await waitForRoom(authority);
    const isOutside = findCommand(authority.certs.access, 'signer.clientCa') !== undefined;
    const rows = await (isOutside ? recordBeforeLists : recordWithLists)(authority, change);
    takeIntoForce(authority, rows);
    await authority.certs.write('crl.pem', exportCrls(authority.trust));
    await authority.trust.settled();
    return rows[0] as CrlRow;
  });
}

/** The lists of a start. A signer that is not ready yet is asked again by the timer. */
export async function issueFirstCrl(authority: Authority): Promise<void> {
  try {
    await renewCrls(authority);
  } catch (error) {
    const hasList = authority.trust.crl !== undefined;
    if (!hasList || !(error instanceof RefusalError) || error.code !== 'SIGNER_FAILED') throw error;
    authority.log.error({ event: 'crl not issued', why: error.message });
  }
  authority.foreign?.checkComplete();
}
