/**
 * The rotations under way, and who would be locked out if they ended now: what status shows, and
 * what has to be empty, or overruled, before one is ended. Floor 5.
 */
import { z } from 'zod';
import { isRotatingKey } from '../authority/archive-keys.ts';
import { type AuthorityKind, isRotating } from '../authority/exchange.ts';
import { RefusalError } from '../errors.ts';
import {
  listClientFollowers,
  listKeyringFollowers,
  listServerFollowers,
} from '../fleet/followers.ts';
import { exportPublicKeys } from '../signing/signing-key.ts';
import type { Parts } from './operation.ts';

/** More followers than these are counted and not named. */
const MAX_NAMED = 10;

export const followers = z
  .array(z.string())
  .describe('while a rotation lasts: who would be locked out if it ended now');

export const rotation = z.object({
  what: z.enum(['client CA', 'server CA', 'signing key']),
  followers,
  end: z.string().describe('the command that ends it'),
});

export type Rotation = z.input<typeof rotation>;

/** Of a CA. */
export const listAuthorityFollowers = (parts: Parts, kind: AuthorityKind): Promise<string[]> =>
  kind === 'client' ? listClientFollowers(parts.authority) : listServerFollowers(parts.authority);

/** Of the signing key: hosts that have not reported the keyring with both. */
export const listKeyFollowers = ({ authority, repository }: Parts): Promise<string[]> =>
  listKeyringFollowers(authority, exportPublicKeys(repository.signingKeys).armored);

export async function listRotations(parts: Parts): Promise<Rotation[]> {
  const { certs, foreign } = parts.authority;
  const found: Rotation[] = [];
  for (const kind of ['client', 'server'] as const) {
    if ((kind === 'client' && foreign) || !(await isRotating(certs, kind))) continue;
    const end = `aptkeep ca rotate ${kind} --finish`;
    const left = await listAuthorityFollowers(parts, kind);
    found.push({ what: `${kind} CA`, followers: left, end });
  }
  if (await isRotatingKey(certs)) {
    const left = await listKeyFollowers(parts);
    found.push({ what: 'signing key', followers: left, end: 'aptkeep key rotate --finish' });
  }
  return found;
}

/** @throws RefusalError ROTATION_FOLLOWERS naming who would be locked out. */
export function refuseFollowers(what: string, left: readonly string[], force: boolean): void {
  if (force || left.length === 0) return;
  const named = left.slice(0, MAX_NAMED).join(', ');
  const more = left.length > MAX_NAMED ? ` and ${left.length - MAX_NAMED} more` : '';
  throw new RefusalError(
    'ROTATION_FOLLOWERS',
    `${left.length} would be locked out without the old ${what}: ${named}${more}; --force ends it all the same`,
  );
}
