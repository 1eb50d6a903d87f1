/**
 * The check that is under way, and the report of the last one. It goes on when whoever asked for it
 * has gone, and whoever asks meanwhile watches the same one. Floor 3.
 */
import { RefusalError } from '../errors.ts';
import type { CheckProgress, CheckReport, Findings } from './findings.ts';

export interface CheckRequest {
  quick: boolean;
  repair: boolean;
}

export interface CheckState {
  running: boolean;
  /** When it began and ended, in milliseconds; null where there was none, or it has not. */
  startedAt: number | null;
  endedAt: number | null;
  request: CheckRequest | null;
  progress: CheckProgress | null;
  /** Of the last one that came to its end. */
  report: CheckReport | null;
  /** Why it did not. */
  failure: string | null;
}

/** Runs to its end, or until the signal. */
export type RunCheck = (
  findings: Findings,
  request: CheckRequest,
  signal: AbortSignal,
) => Promise<void>;

export class CheckRuns {
  readonly #now: () => number;
  #abort = new AbortController();
  #running: { findings: Findings; ended: Promise<void> } | undefined;
  #state: CheckState = {
    ...{ running: false, startedAt: null, endedAt: null, request: null },
    ...{ progress: null, report: null, failure: null },
  };

  constructor(now: () => number) {
    this.#now = now;
  }

  get state(): CheckState {
    const progress = this.#running ? { ...this.#running.findings.progress } : null;
    return { ...this.#state, progress };
  }

  /** Begins one; joins one of the same kind that is under way, and follows one of the other. */
  start(request: CheckRequest, findings: Findings, run: RunCheck): void {
    const { request: other } = this.#state;
    const isSame = other?.quick === request.quick && other.repair === request.repair;
    if (this.#running && isSame) return;
    const before = this.#running?.ended ?? Promise.resolve();
    this.#state = {
      ...{ running: true, startedAt: this.#now(), endedAt: null, request },
      ...{ progress: null, report: null, failure: null },
    };
    const own = { findings, ended: Promise.resolve() };
    this.#running = own;
    own.ended = before
      .then(() => run(findings, request, this.#abort.signal))
      .then(
        () => this.#end(own, { report: findings.report() }),
        (error: unknown) => this.#end(own, { failure: describe(error) }),
      );
  }

  #end(ended: object, outcome: Partial<CheckState>): void {
    if (this.#running !== ended) return;
    this.#running = undefined;
    this.#state = { ...this.#state, ...outcome, running: false, endedAt: this.#now() };
  }

  /** Ends what is under way, and waits for that. */
  async stop(): Promise<void> {
    this.#abort.abort(new RefusalError('DRAINING', 'the server was stopped before the end'));
    await this.#running?.ended;
  }
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
