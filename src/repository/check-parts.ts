/** What the steps of a check share. Floor 3. */

import type { FindingCode, Findings } from './findings.ts';
import type { PublishParts } from './publish.ts';

/** One check under way. */
export interface Check {
  parts: PublishParts & { openedAt: number };
  findings: Findings;
  /** Only what the catalog and the sizes of files say. */
  quick: boolean;
  /** Ends it between two reads. */
  signal: AbortSignal;
  /** Suites whose mirror is not the current publication. */
  mirrors: string[];
  /** Suites of which a stored index is not what it was, for a repair. */
  broken: string[];
  /** Packages whose bytes are not the recorded ones, for a repair. */
  damaged: { id: string; filename: string; code: FindingCode }[];
}
