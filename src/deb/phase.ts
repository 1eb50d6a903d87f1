/**
 * Phased-Update-Percentage: the share of hosts that take a version when they upgrade. It belongs to
 * the index and not to the package, so it is added to the stanza where the index is made. Source of
 * truth: apt_preferences(5), PHASED UPDATES. Floor 1.
 */
import { RefusalError } from '../errors.ts';
import { MAX_STANZA_BYTES } from './control.ts';

export const PHASE_FIELD = 'Phased-Update-Percentage';

const LONGEST = Buffer.byteLength(`${PHASE_FIELD}: 100\n`);

/** The stanza with its phase as the last field; as it is for `null`, which is everybody. */
export function renderPhase(stanza: Uint8Array, percentage: number | null): Uint8Array {
  if (percentage === null) return stanza;
  return Buffer.concat([stanza, Buffer.from(`${PHASE_FIELD}: ${percentage}\n`)]);
}

/** @throws RefusalError PACKAGE_UNACCEPTABLE where apt would read the stanza no more. */
export function checkPhaseFits(name: string, stanza: Uint8Array): void {
  if (stanza.length + LONGEST + 1 <= MAX_STANZA_BYTES) return;
  throw new RefusalError(
    'PACKAGE_UNACCEPTABLE',
    `the index entry of ${name} has no room for ${PHASE_FIELD}: apt reads up to 1 MiB`,
  );
}
