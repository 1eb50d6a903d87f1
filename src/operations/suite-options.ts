/** What a suite may ask for, as every face spells it. Floor 5. */
import { z } from 'zod';

const retention = z.object({
  newest: z.int().min(1).nullable().describe('versions of a package that stay; null for all'),
  days: z.int().min(1).nullable().describe('what came in the last days stays; null for none'),
});

const shape = {
  xz: z.boolean().describe('indexes as .xz beside .gz'),
  hashes: z.array(z.enum(['SHA512', 'MD5sum'])).describe('hashes besides SHA256'),
  contents: z.boolean().describe('Contents-ARCH'),
  translations: z.boolean().describe('Translation-en, with short descriptions in Packages'),
  pdiffs: z.boolean().describe('Packages.diff'),
  notAutomatic: z.boolean().describe('installed from where asked for alone: apt pins it at 1'),
  butAutomaticUpgrades: z
    .boolean()
    .describe('with notAutomatic: what was installed from it is upgraded; apt pins it at 100'),
  version: z.string().describe("Version in Release; '' for none"),
  changelogs: z.boolean().describe('changelogs for apt-get changelog'),
  snapshots: z.boolean().describe('past publications by time, for apt --snapshot'),
  signers: z
    .array(
      z
        .string()
        .regex(/^[0-9A-Fa-f]{40}([0-9A-Fa-f]{24})?$/, 'an OpenPGP fingerprint')
        .toUpperCase(),
    )
    .min(1)
    .nullable()
    .describe('fingerprints, one of which has to have signed a .changes; null for none'),
  retention: retention.nullable().describe('what stays in the suite; null for everything'),
};

export const suiteOptions = z.object(shape);

/** As input: what is left out stays, or is the default. */
export const suiteOptionsInput = suiteOptions.partial().strict();
