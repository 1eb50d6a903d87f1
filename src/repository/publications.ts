/** Looking at publications, and signing a suite again before its Valid-Until runs out. Floor 3. */
import {
  findPublication,
  type PublicationRow,
  type PublicationSummary,
  listPublications as queryPublications,
} from '../catalog/publications.ts';
import { RefusalError } from '../errors.ts';
import type { LivePublication } from './live.ts';
import type { Publisher } from './publisher.ts';
import type { Repository } from './repository.ts';
import { getSuite } from './suites.ts';

const MAX_LISTED = 1000;

/** Newest first. @throws RefusalError SUITE_UNKNOWN */
export async function listPublications(
  repository: Repository,
  suite: string,
): Promise<PublicationSummary[]> {
  await getSuite(repository, suite);
  return queryPublications(repository.catalog, suite, MAX_LISTED);
}

/** @throws RefusalError SUITE_UNKNOWN, PUBLICATION_UNKNOWN */
export async function getPublication(
  repository: Repository,
  suite: string,
  number: number,
): Promise<PublicationRow> {
  await getSuite(repository, suite);
  const row = await findPublication(repository.catalog, suite, number);
  if (row) return row;
  throw new RefusalError('PUBLICATION_UNKNOWN', `suite ${suite} has no publication ${number}`);
}

/** Whether its texts and indexes are gone: then its number, its dates and its reason are what is left. */
export const isSwept = (row: PublicationRow): boolean => row.in_release === '';

/**
 * A publication that is whole.
 * @throws RefusalError SUITE_UNKNOWN, PUBLICATION_UNKNOWN, CONTENTS_GONE
 */
export async function getWholePublication(
  repository: Repository,
  suite: string,
  number: number,
): Promise<PublicationRow> {
  const row = await getPublication(repository, suite, number);
  if (!isSwept(row)) return row;
  throw new RefusalError(
    'CONTENTS_GONE',
    `publication ${number} of suite ${suite} was swept: what it listed is not known any more`,
  );
}

/** Make a new publication of the same contents, with a newer Date and Valid-Until. */
export async function signSuiteAgain(
  parts: Repository & { publisher: Publisher },
  suite: string,
  actor: string,
  reason: string,
): Promise<{ number: number }> {
  await getSuite(parts, suite);
  return parts.publisher.submit(suite, { additions: [], removals: [], reason, actor });
}

/** Whether a third of the span from Date to Valid-Until is over. */
export function isDueForSigning(publication: LivePublication, now: number): boolean {
  return now > publication.date + (publication.validUntil - publication.date) / 3;
}
