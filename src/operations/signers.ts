/** Operations on the OpenPGP keys whose signature a suite may ask for. Floor 5. */
import { z } from 'zod';
import type { SignerRow } from '../catalog/signers.ts';
import {
  describeSigner,
  listSigners as list,
  recordSigners,
  removeSigner as remove,
} from '../repository/signers.ts';
import { ADMINS, defineOperation, type Parts, READERS } from './operation.ts';

const signer = z.object({
  fingerprint: z.string().describe('of the primary key'),
  userId: z.string(),
  expires: z.string().nullable(),
  fault: z.string().nullable().describe('why its signatures do not count now; null where they do'),
  suites: z.array(z.string()).describe('that name it'),
  recordedAt: z.string(),
  recordedBy: z.string(),
});

async function describe(
  parts: Parts,
  { row, suites }: { row: SignerRow; suites: string[] },
): Promise<z.input<typeof signer>> {
  return {
    fingerprint: row.fingerprint,
    userId: row.user_id,
    ...(await describeSigner(row, parts.now())),
    suites,
    recordedAt: row.recorded_at,
    recordedBy: row.recorded_by,
  };
}

export const addSigners = defineOperation({
  summary: 'Record public keys whose signatures suites may ask for; the same key again renews it',
  roles: ADMINS,
  changes: true,
  input: z.object({ keyring: z.string().describe('OpenPGP public keys, armoured') }),
  output: z.object({ signers: z.array(signer) }),
  async run(parts, { keyring }, actor) {
    const rows = await recordSigners(parts.repository, keyring, actor.name);
    const added = new Set(rows.map((row) => row.fingerprint));
    const all = (await list(parts.repository)).filter(({ row }) => added.has(row.fingerprint));
    return { signers: await Promise.all(all.map((one) => describe(parts, one))) };
  },
});

export const listSigners = defineOperation({
  summary: 'The keys whose signatures suites may ask for, and which suites do',
  roles: READERS,
  changes: false,
  input: z.object({}),
  output: z.object({ signers: z.array(signer) }),
  async run(parts) {
    const all = await list(parts.repository);
    return { signers: await Promise.all(all.map((one) => describe(parts, one))) };
  },
});

export const removeSigner = defineOperation({
  summary: 'Forget a key that no suite names any more',
  roles: ADMINS,
  changes: true,
  input: z.object({ signer: z.string() }),
  output: z.object({ signer: z.string() }),
  subject: (input) => input.signer,
  async run(parts, input) {
    return { signer: await remove(parts.repository, input.signer) };
  },
});
