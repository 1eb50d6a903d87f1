/** What a check finds: counted whole, named up to a bound, with how far it has come. Floor 3. */

export type FindingKind = 'fault' | 'garbage';

/** `code` names the kind of trouble, `subject` where it is, `why` what is wrong there. */
export interface Finding {
  kind: FindingKind;
  code: FindingCode;
  subject: string;
  why: string;
}

export const FINDING_CODES = [
  'package.missing',
  'package.size',
  'package.bytes',
  'package.stanza',
  'package.unreadable',
  'listing',
  'publication.pointer',
  'publication.date',
  'publication.release',
  'publication.signature',
  'index.missing',
  'index.bytes',
  'index.contents',
  'mirror',
  'audit',
  'files',
  'packages',
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

export interface CheckProgress {
  /** What is being read. */
  step: string;
  done: number;
  total: number;
}

export interface CheckReport {
  findings: Finding[];
  /** Also those that are not named. */
  faults: number;
  garbage: { files: number; packages: number; bytes: number };
  read: { packages: number; publications: number; indexes: number; bytes: number };
  /** What was put right, in words. */
  repaired: string[];
}

const MAX_NAMED = 1000;

export class Findings {
  readonly #named: Finding[] = [];
  #faults = 0;
  readonly garbage = { files: 0, packages: 0, bytes: 0 };
  readonly read = { packages: 0, publications: 0, indexes: 0, bytes: 0 };
  readonly repaired: string[] = [];
  readonly progress: CheckProgress = { step: '', done: 0, total: 0 };

  begin(step: string, total: number): void {
    Object.assign(this.progress, { step, done: 0, total });
  }

  advance(by: number): void {
    this.progress.done += by;
  }

  add(finding: Finding): void {
    if (finding.kind === 'fault') this.#faults += 1;
    if (this.#named.length < MAX_NAMED) this.#named.push(finding);
  }

  fault(code: FindingCode, subject: string, why: string): void {
    this.add({ kind: 'fault', code, subject, why });
  }

  report(): CheckReport {
    return {
      findings: [...this.#named],
      faults: this.#faults,
      garbage: { ...this.garbage },
      read: { ...this.read },
      repaired: [...this.repaired],
    };
  }
}
