/**
 * The revocation list: issued at start, on a timer and at every revocation, also when nothing
 * changed, because a list past its nextUpdate closes the door to everyone. RFC 5280 section 5. Floor 3.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { listRevoked, revokeSuperseded } from '../catalog/certificates.ts';
import { type CrlRow, findLatestCrl, insertCrl } from '../catalog/crls.ts';
import type { SqlExecutor } from '../catalog/sql.ts';
import { issueCrl, type RevocationReason, readCrl } from '../pki/crl.ts';
import type { Authority } from './authority.ts';

/** thisUpdate lies this far back: a host's or a proxy's clock may run behind ours. */
const CRL_BACKDATE_MS = 300_000;
/** An expired certificate stays on the list for this long after it lapsed. */
const CRL_KEEP_LAPSED_MS = 3_600_000;

const iso = (time: number): string => new Date(time).toISOString();

/** Makes the row of the next list, inside the caller's transaction and under the lock "crl". */
async function prepareCrl(authority: Authority, sql: SqlExecutor): Promise<CrlRow> {
  const previous = await findLatestCrl(sql);
  const now = authority.now();
  const floor = previous ? Date.parse(previous.this_update) + 1000 : 0;
  const thisUpdate = Math.floor(Math.max(now - CRL_BACKDATE_MS, floor) / 1000) * 1000;
  // Rounded up, so that a list of eight seconds is good for eight seconds. Where the clock went
  // back, the list is one from the future, and still has to begin before it ends.
  const nextUpdate = Math.ceil((Math.max(now, thisUpdate) + authority.crlLifetime) / 1000) * 1000;
  await revokeSuperseded(sql, iso(now));
  const revoked = await listRevoked(sql, iso(now - CRL_KEEP_LAPSED_MS));
  const number = (previous?.number ?? 0) + 1;
  const pem = await issueCrl(authority.signer, {
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
    this_update: iso(thisUpdate),
    next_update: iso(nextUpdate),
    pem,
    issued_at: iso(now),
  };
}

/** Waits until the next list's thisUpdate would not lie ahead of now: 300 lists at once may not. */
async function waitForRoom(authority: Authority): Promise<void> {
  const previous = authority.trust.crl?.thisUpdate.getTime() ?? 0;
  const ahead = previous + 1000 - authority.now();
  if (ahead > 0 && ahead <= CRL_BACKDATE_MS) await delay(ahead);
}

/**
 * Issue the next list, together with `change` in one transaction, and take it into force.
 * Number and thisUpdate only ever grow. The file certs/crl.pem follows the catalog.
 */
export async function issueNextCrl(
  authority: Authority,
  change: (sql: SqlExecutor) => Promise<void> = async () => {},
): Promise<CrlRow> {
  return authority.catalog.lock('crl', async () => {
    await waitForRoom(authority);
    const row = await authority.catalog.transaction(async (sql) => {
      await change(sql);
      const next = await prepareCrl(authority, sql);
      await insertCrl(sql, next);
      return next;
    });
    const [issuer] = authority.trust.authorities;
    if (!issuer) throw new Error('the authority has no certificate of its own');
    authority.trust.load({ ...readCrl(row.pem, issuer), pem: row.pem });
    await authority.certs.write('crl.pem', row.pem);
    authority.log.info({ event: 'crl.issued', number: row.number, nextUpdate: row.next_update });
    return row;
  });
}
