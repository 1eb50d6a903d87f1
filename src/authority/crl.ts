/**
 * The revocation list: issued at start, on a timer and at every revocation, also when nothing
 * changed, because a list past its nextUpdate closes the door to everyone. RFC 5280 section 5. Floor 3.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { listRevoked } from '../catalog/certificates.ts';
import { type CrlRow, findLastCrlNumber, findLatestCrl, insertCrl } from '../catalog/crls.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { issueCrl, type RevocationReason, readCrl } from '../pki/crl.ts';
import type { Authority, Issuer } from './authority.ts';
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
): Promise<CrlRow> {
  const previous = await findLatestCrl(sql, facts.fingerprint);
  const now = authority.now();
  const floor = previous ? Date.parse(previous.this_update) + 1000 : 0;
  const thisUpdate = Math.floor(Math.max(now - CRL_BACKDATE_MS, floor) / 1000) * 1000;
  // Rounded up, so that a list of eight seconds is good for eight seconds. Where the clock went
  // back, the list is one from the future, and still has to begin before it ends.
  const nextUpdate = Math.ceil((Math.max(now, thisUpdate) + authority.crlLifetime) / 1000) * 1000;
  const revoked = await listRevoked(sql, facts.fingerprint, iso(now - CRL_KEEP_LAPSED_MS));
  const number = (await findLastCrlNumber(sql)) + 1;
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

/** The lists in force, the issuing authority's first, as certs/crl.pem and /crl.pem have them. */
export const exportCrls = (trust: Trust): string => trust.crls.map((list) => list.pem).join('');

/** Issue the next lists, or read those of a site's own authorities again. */
export async function renewCrls(authority: Authority): Promise<void> {
  if (authority.foreign) await authority.foreign.refresh();
  else await issueNextCrl(authority);
}

/**
 * Issue the next list of every authority of ours, together with `change` in one transaction, and
 * take it into force: whoever subscribed has it when this resolves. Number and thisUpdate only
 * ever grow. The file certs/crl.pem follows the catalog. Resolves with the issuing authority's.
 */
export async function issueNextCrl(
  authority: Authority,
  change: (sql: SqlExecutor) => Promise<void> = async () => {},
): Promise<CrlRow> {
  return authority.catalog.lock('crl', async () => {
    await waitForRoom(authority);
    const { issuers, trust } = authority;
    const rows = await authority.catalog.transaction(async (sql) => {
      await change(sql);
      const made: CrlRow[] = [];
      for (const issuer of issuers) {
        const row = await prepareCrl(authority, sql, issuer);
        await insertCrl(sql, row);
        made.push(row);
      }
      return made;
    });
    for (const [position, row] of rows.entries()) {
      const { facts } = issuers[position] as Issuer;
      trust.load({ ...readCrl(row.pem, facts), pem: row.pem }, facts.fingerprint);
      const { number, next_update: nextUpdate } = row;
      authority.log.info({
        event: 'crl.issued',
        authority: facts.subject.commonName,
        number,
        nextUpdate,
      });
    }
    await authority.certs.write('crl.pem', exportCrls(trust));
    await trust.settled();
    return rows[0] as CrlRow;
  });
}
