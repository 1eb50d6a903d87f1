/**
 * Whose OpenPGP signature a suite asks for: the keys are recorded once, and each suite names those
 * that count for it. Floor 3.
 */
import {
  deleteSigner,
  findSigners,
  listSigners as queryAll,
  recordSigner,
  type SignerRow,
} from '../catalog/signers.ts';
import { listSuites } from '../catalog/suites.ts';
import { RefusalError } from '../errors.ts';
import { findClearSigner } from '../signing/clear-signer.ts';
import { describeKey, exportKeyring, readKeyring } from '../signing/key.ts';
import type { PaperText } from './paper.ts';
import type { Repository } from './repository.ts';
import { readSuiteRow, type Suite } from './suites.ts';

type Signing = Pick<Repository, 'catalog' | 'now'>;

/** The clock of who signed may run ahead of ours by this much. */
const CLOCK_MS = 60_000;
const MAX_KEYS = 100;
const MAX_KEYRING_CHARACTERS = 1024 * 1024;

const describeSigners = (suite: Suite): string =>
  `suite ${suite.name} takes only what was signed by one of ${(suite.options.signers ?? []).join(', ') || 'nobody'}`;

/** @throws RefusalError SIGNATURE_REQUIRED in a suite that asks for one. */
export function refuseUnsigned(suite: Suite, what: string): void {
  if (suite.options.signers === null) return;
  throw new RefusalError(
    'SIGNATURE_REQUIRED',
    `${what} is not signed, nor named by a signed .changes: ${describeSigners(suite)}`,
  );
}

/**
 * The fingerprint of who signed a paper; undefined in a suite that does not ask.
 * @throws RefusalError SIGNATURE_REQUIRED naming what is missing.
 */
export async function checkSignature(
  parts: Signing,
  suite: Suite,
  what: string,
  paper: PaperText,
): Promise<string | undefined> {
  const { signers } = suite.options;
  if (signers === null) return undefined;
  if (!paper.isSigned) refuseUnsigned(suite, what);
  const rows = await findSigners(parts.catalog, signers);
  const keyring = (await Promise.all(rows.map((row) => readKeyring(row.armored)))).flat();
  const latest = new Date(parts.now() + CLOCK_MS);
  const [text, content] = [paper.text.toString('utf8'), paper.content.toString('utf8')];
  const found = await findClearSigner(text, content, keyring, latest);
  if ('fingerprint' in found) return found.fingerprint;
  throw new RefusalError(
    'SIGNATURE_REQUIRED',
    `${what}: ${found.fault}; ${describeSigners(suite)}`,
  );
}

/**
 * Record every public key of a keyring; one that is there is replaced, as when it was prolonged or
 * revoked.
 * @throws RefusalError KEY_UNACCEPTABLE
 */
export async function recordSigners(
  parts: Signing,
  keyring: string,
  actor: string,
): Promise<SignerRow[]> {
  const unacceptable = (detail: string): RefusalError =>
    new RefusalError('KEY_UNACCEPTABLE', detail);
  if (keyring.length > MAX_KEYRING_CHARACTERS) throw unacceptable('the keyring is over 1 MiB');
  if (keyring.includes('PRIVATE KEY BLOCK')) {
    throw unacceptable('that is a secret key: export the public one (gpg --armor --export)');
  }
  const keys = await readKeyring(keyring).catch((error: unknown) => {
    throw unacceptable(`it is no OpenPGP keyring: ${(error as Error).message}`);
  });
  if (keys.length > MAX_KEYS) throw unacceptable(`the keyring has more than ${MAX_KEYS} keys`);
  const recorded_at = new Date(parts.now()).toISOString();
  const rows = keys.map((key) => ({
    fingerprint: key.getFingerprint().toUpperCase(),
    user_id: key.getUserIDs()[0] ?? '',
    armored: exportKeyring([key]).armored,
    ...{ recorded_at, recorded_by: actor },
  }));
  await parts.catalog.transaction(async (sql) => {
    for (const row of rows) await recordSigner(sql, row);
  });
  return rows;
}

/** When a recorded key runs out, and whether it counts now. */
export async function describeSigner(
  row: SignerRow,
  now: number,
): Promise<{ expires: string | null; fault: string | null }> {
  const [key] = await readKeyring(row.armored);
  if (key === undefined) return { expires: null, fault: 'the key cannot be read' };
  const expires = (await describeKey(key).catch(() => undefined))?.expires?.toISOString() ?? null;
  const fault = await key.getSigningKey(undefined, new Date(now)).then(
    () => null,
    (error: unknown) => (error as Error).message,
  );
  return { expires, fault };
}

/** Every recorded key with the suites that name it. */
export async function listSigners({
  catalog,
}: Signing): Promise<{ row: SignerRow; suites: string[] }[]> {
  const suites = (await listSuites(catalog)).map(readSuiteRow);
  return (await queryAll(catalog)).map((row) => ({
    row,
    suites: suites
      .filter(({ options }) => options.signers?.includes(row.fingerprint))
      .map(({ name }) => name),
  }));
}

/** @throws RefusalError SIGNER_UNKNOWN, SIGNER_IN_USE */
export async function removeSigner(parts: Signing, word: string): Promise<string> {
  const fingerprint = word.toUpperCase();
  const known = (await listSigners(parts)).find(({ row }) => row.fingerprint === fingerprint);
  if (!known) refuseUnknown(word);
  if (known.suites.length > 0) {
    throw new RefusalError(
      'SIGNER_IN_USE',
      `${fingerprint} may sign for ${known.suites.join(', ')}: take it out there first (suite set --signers)`,
    );
  }
  await deleteSigner(parts.catalog, fingerprint);
  return fingerprint;
}

function refuseUnknown(word: string): never {
  throw new RefusalError(
    'SIGNER_UNKNOWN',
    `no key ${JSON.stringify(word.slice(0, 80))} is recorded: aptkeep signer add`,
  );
}

/** A suite asks for keys that are there. @throws RefusalError SIGNER_UNKNOWN */
export async function requireSigners(
  parts: Signing,
  fingerprints: readonly string[] | null | undefined,
): Promise<void> {
  if (!fingerprints) return;
  const known = new Set(
    (await findSigners(parts.catalog, fingerprints)).map(({ fingerprint }) => fingerprint),
  );
  const unknown = fingerprints.find((one) => !known.has(one));
  if (unknown !== undefined) refuseUnknown(unknown);
}
