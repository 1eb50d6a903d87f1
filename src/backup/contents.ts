/**
 * What stands in a backup, and in which order: a tar that begins with what it is and with the
 * catalog, by which everything behind it is judged. Floor 4.
 *
 *     aptkeep-backup.json                 the manifest
 *     catalog.sqlite                      as it was at one moment
 *     certs/NAME                          the keys as they are at rest; without them on request
 *     aptkeep.yaml                        where there is one
 *     pool/…, dists/…/by-hash/…           every object that this catalog refers to
 *     aptkeep-backup.end                  empty: nothing is missing behind it
 */
import { z } from 'zod';
import { CERTS_MODES, type CertsFile, KEY_FILES } from '../authority/files.ts';

export const MANIFEST_NAME = 'aptkeep-backup.json';
export const CATALOG_NAME = 'catalog.sqlite';
export const SETTINGS_NAME = 'aptkeep.yaml';
export const END_NAME = 'aptkeep-backup.end';
export const CERTS_PREFIX = 'certs/';

export const MAX_MANIFEST_BYTES = 64 * 1024;
export const MAX_SETTINGS_BYTES = 1024 * 1024;
/** A revocation list of a hundred thousand entries has four megabytes. */
export const MAX_CERTS_BYTES = 64 * 1024 * 1024;

const FORMAT = 1;

/** `bytes` and `objects` of pool/ and dists/ together. */
export const manifestSchema = z.object({
  format: z.literal(FORMAT),
  program: z.string(),
  created: z.iso.datetime(),
  catalog: z.object({ size: z.int().positive(), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
  keys: z.boolean(),
  objects: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
});

export type Manifest = z.output<typeof manifestSchema>;

export const createManifest = (rest: Omit<Manifest, 'format'>): Manifest => ({
  format: FORMAT,
  ...rest,
});

/** The mode of a file of certs/; undefined where it is none of ours. */
export const findCertsMode = (name: string): number | undefined =>
  Object.hasOwn(CERTS_MODES, name) ? CERTS_MODES[name as CertsFile] : undefined;

export const isSecret = (name: string): boolean => (KEY_FILES as string[]).includes(name);
