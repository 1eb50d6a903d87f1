/**
 * One worker as the main process sees it. A worker that does not take over a change in time may
 * still let in whom it should refuse, so it is killed; it counts as having taken over when it is
 * dead. Source of truth: node:child_process, fork with a channel. Floor 7.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { AuditEntry } from '../../catalog/audit-chain.ts';
import { RefusalError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { HashName, PublishedFile } from '../../repository/published-files.ts';
import { PROCESS_FLAGS } from '../../thread.ts';
import type { FindPast } from '../by-hash.ts';
import type { Change, FromWorker, ToWorker } from './messages.ts';

/** The listening socket, in the worker: the first descriptor after the channel. */
export const LISTEN_DESCRIPTOR = 4;

/** How long a worker may take to take over a change. */
const ACKNOWLEDGE_MS = 1000;
/** And how much longer for each serial on the lists: OpenSSL reads 100,000 in one go, in 200 ms. */
const ACKNOWLEDGE_MS_PER_SERIAL = 0.05;
/** And how long to begin. */
const START_MS = 60_000;
/** A worker says every second what it has counted; one that says nothing for so long hangs. */
const MAX_SILENT_SECONDS = 30;

const ENTRY = fileURLToPath(new URL('../../worker.ts', import.meta.url));
/** No setting and no secret of the main process stands in a worker's environment. */
const INHERITED = ['TZ', 'NODE_OPTIONS', 'UV_THREADPOOL_SIZE'];

const environment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(INHERITED.map((name) => [name, process.env[name]]));

export interface WorkerListeners {
  /** Asked for once, when the process is up: everything it serves by, complete in that moment. */
  begin(): ToWorker;
  load(load: Extract<FromWorker, { kind: 'load' }>): void;
  /** The suites that list a key of the pool or ever did. */
  findSuites(key: string): Promise<readonly string[]>;
  /** A file of a publication that is not in force. */
  findPast: FindPast;
  /** What its gate refused. */
  audit(entries: readonly AuditEntry[]): void;
  /** It is dead; `how` is for people to read. */
  ended(how: string): void;
}

export class WorkerProcess {
  readonly #child: ChildProcess;
  readonly #log: Logger;
  readonly #listeners: WorkerListeners;
  /** Order -> what waits for it. */
  readonly #waiting = new Map<number, () => void>();
  readonly #started = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #startLimit: NodeJS.Timeout;
  #heartbeat: NodeJS.Timeout | undefined;
  #silentSeconds = 0;
  #orders = 0;
  #state: 'new' | 'begun' | 'serving' | 'listening' | 'ended' = 'new';

  constructor(descriptor: number, listeners: WorkerListeners, log: Logger) {
    this.#listeners = listeners;
    this.#log = log;
    this.#started.promise.catch(() => {}); // whoever waits is told; nobody has to wait
    this.#child = fork(ENTRY, [], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc', descriptor],
      env: environment(),
      execArgv: [...PROCESS_FLAGS],
      serialization: 'advanced',
    });
    this.#startLimit = setTimeout(() => this.kill('it did not begin'), START_MS);
    this.#startLimit.unref();
    this.#child.on('message', (message) => this.#take(message as FromWorker));
    // A message to a process that has just died; its end is told by itself.
    this.#child.on('error', (error) => {
      if (this.#child.pid === undefined) this.#end(String(error));
    });
    this.#child.on('disconnect', () => this.#child.kill('SIGKILL'));
    this.#child.on('exit', (status, signal) => this.#end(signal ?? `exit status ${status}`));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Resolves when it accepts connections. @throws what kept it from that. */
  get listening(): Promise<void> {
    return this.#started.promise;
  }

  get isListening(): boolean {
    return this.#state === 'listening';
  }

  /** Resolves when the process is dead. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  /**
   * Tells a change. Resolves when the worker has taken it over, or is dead, or has to take it over
   * before it begins to listen.
   * @param listed how many serials the lists name.
   */
  tell(change: Change, listed: number): Promise<void> {
    if (this.#state === 'new' || this.#state === 'ended') return Promise.resolve();
    this.#orders += 1;
    const order = this.#orders;
    this.#send({ kind: 'change', order, change });
    if (this.#state === 'begun') return Promise.resolve();
    return new Promise((resolve) => {
      const patience = ACKNOWLEDGE_MS + listed * ACKNOWLEDGE_MS_PER_SERIAL;
      const timer = setTimeout(() => this.#judgeSilence(order), patience);
      this.#waiting.set(order, () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  drain(): void {
    this.#send({ kind: 'drain' });
  }

  kill(why: string): void {
    if (this.#state === 'ended') return;
    this.#log.error({ event: 'worker killed', pid: this.pid, why });
    this.#child.kill('SIGKILL');
  }

  async #judgeSilence(order: number): Promise<void> {
    // This process may have been the one that was busy: what has arrived is read first.
    await nextTurn();
    await nextTurn();
    if (this.#waiting.has(order)) this.kill('it did not take over a change in time');
  }

  /** In ticks of this process, so that one which was itself stopped for a while kills nobody. */
  #countSilence(): void {
    this.#silentSeconds += 1;
    if (this.#silentSeconds > MAX_SILENT_SECONDS) this.kill('it hangs');
  }

  #send(message: ToWorker): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #take(message: FromWorker): void {
    switch (message.kind) {
      case 'started':
        this.#state = 'begun';
        this.#send(this.#listeners.begin());
        break;
      case 'prepared':
        this.#state = 'serving';
        this.#send({ kind: 'listen' });
        break;
      case 'listening':
        this.#state = 'listening';
        clearTimeout(this.#startLimit);
        this.#heartbeat = setInterval(() => this.#countSilence(), 1000);
        this.#heartbeat.unref();
        this.#started.resolve();
        break;
      case 'acknowledged':
        this.#waiting.get(message.order)?.();
        this.#waiting.delete(message.order);
        break;
      case 'load':
        this.#silentSeconds = 0;
        this.#listeners.load(message);
        break;
      case 'question':
        this.#answer(message.question, message.key);
        break;
      case 'file question':
        this.#answerFile(message.question, message.name);
        break;
      case 'audit':
        this.#listeners.audit(message.entries);
        break;
      case 'failed': {
        const { code, why } = message;
        this.#started.reject(code ? new RefusalError(code, why) : new Error(why));
        break;
      }
    }
  }

  #answer(question: number, key: string): void {
    this.#listeners.findSuites(key).then(
      (suites) => this.#send({ kind: 'suites', question, suites }),
      // Nothing is known to list it: nobody is let read it.
      () => this.#send({ kind: 'suites', question, suites: [] }),
    );
  }

  #answerFile(question: number, name: HashName): void {
    const answer = (file: PublishedFile | undefined): void =>
      this.#send({ kind: 'file', question, file: file ?? null });
    this.#listeners.findPast(name).then(answer, (error: unknown) => {
      this.#log.error({ event: 'file not found', hex: name.hex, error: String(error) });
      answer(undefined);
    });
  }

  #end(how: string): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#startLimit);
    clearInterval(this.#heartbeat);
    for (const resolve of this.#waiting.values()) resolve();
    this.#waiting.clear();
    this.#started.reject(new Error(`a worker ended: ${how}`));
    this.#ended.resolve();
    this.#listeners.ended(how);
  }
}
