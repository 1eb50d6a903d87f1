/**
 * The workers, kept by the process that writes: started, told every change of what they serve by,
 * replaced when they die, drained. The listening socket is this process's and is never closed while
 * it serves, so that connections wait in the kernel for the next worker instead of being refused.
 * Floor 7.
 */
import { randomBytes } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { TrustFeed } from '../../authority/trust-copy.ts';
import { listSuitesOfFile } from '../../catalog/packages.ts';
import type { ReadingRules } from '../../fleet/reading.ts';
import type { Parts } from '../../operations/operation.ts';
import { findFileByHash } from '../../repository/published-files.ts';
import { AuditOutbox } from '../audit-outbox.ts';
import type { ServerPair } from '../judge.ts';
import { DRAIN_MS, drainServer, type Front } from '../listen.ts';
import { describeGate, readServerPair } from '../server.ts';
import { bindPort } from './bound-port.ts';
import type { Beginning, Change, Counters, FromWorker } from './messages.ts';
import { listenForWorkers } from './reception.ts';
import { WorkerProcess } from './worker-process.ts';

/** A worker that died before it served is not started again at once. */
const RETRY_MS = 1000;
/** How much longer than its own limit a draining worker may take. */
const DRAIN_GRACE_MS = 2000;

class Workers {
  readonly #parts: Parts;
  readonly #descriptor: number;
  readonly #token: string;
  readonly #feed: TrustFeed;
  readonly #outbox: AuditOutbox;
  readonly #workers = new Set<WorkerProcess>();
  readonly #memory = new Map<WorkerProcess, number>();
  readonly #retries = new Set<NodeJS.Timeout>();
  readonly #unsubscribe: (() => void)[] = [];
  #pair: ServerPair;
  #rules: ReadingRules;
  /** The last reading of the rules that was asked for: one after another, in order. */
  #reading: Promise<void> = Promise.resolve();
  #isEnding = false;

  constructor(
    parts: Parts,
    descriptor: number,
    token: string,
    { pair, rules }: { pair: ServerPair; rules: ReadingRules },
  ) {
    this.#parts = parts;
    this.#rules = rules;
    this.#descriptor = descriptor;
    this.#token = token;
    this.#pair = pair;
    const { trust } = parts.authority;
    this.#feed = new TrustFeed(trust);
    const { append } = describeGate(parts);
    this.#outbox = new AuditOutbox({ append, log: parts.log, now: parts.now });
    this.#unsubscribe.push(
      trust.subscribe(async (change) => {
        if (change.kind === 'server certificate') return this.reload();
        const messages = this.#feed.describe(change);
        await Promise.all(messages.map((message) => this.#tellAll({ kind: 'trust', message })));
      }),
      parts.readers.subscribe(() => this.#followRules()),
      parts.repository.live.subscribe((change) => this.#tellAll({ kind: 'publication', change })),
    );
  }

  /** Starts so many; resolves when all of them listen. @throws what kept the first from that. */
  async start(count: number): Promise<void> {
    const first = Array.from({ length: count }, () => this.#start());
    await Promise.all(first.map((worker) => worker.listening));
  }

  #start(): WorkerProcess {
    let served = false;
    const worker = new WorkerProcess(
      this.#descriptor,
      {
        begin: () => this.#describeAll(),
        load: (load) => this.#count(worker, load),
        findSuites: (key) => listSuitesOfFile(this.#parts.repository.catalog, key),
        findPast: (name) => findFileByHash(this.#parts.repository.catalog, name),
        // Written down here, where the catalog is; a worker's gate has counted what repeats.
        audit: (entries) => this.#outbox.add(entries),
        ended: (how) => this.#replace(worker, served, how),
      },
      this.#parts.log,
    );
    this.#workers.add(worker);
    worker.listening.then(
      () => {
        served = true;
        this.#parts.log.info({ event: 'worker listening', pid: worker.pid });
        this.#sum();
      },
      () => {},
    );
    return worker;
  }

  #describeAll(): Beginning {
    const { authority, config, repository } = this.#parts;
    const { values } = config;
    return {
      kind: 'begin',
      data: config.data,
      address: values.listen,
      values: {
        'tls.strictHandshake': values['tls.strictHandshake'],
        'upload.idleTimeout': values['upload.idleTimeout'],
        'log.level': values['log.level'],
        'clientCa.roles': values['clientCa.roles'],
      },
      trust: this.#feed.snapshot(),
      isForeign: authority.foreign !== undefined,
      rules: this.#rules,
      publications: [...repository.live.values()],
      pair: this.#pair,
      token: this.#token,
    };
  }

  #followRules(): Promise<void> {
    this.#reading = this.#reading.then(async () => {
      this.#rules = await this.#parts.readers.readRules();
      await this.#tellAll({ kind: 'rules', rules: this.#rules });
    });
    return this.#reading.catch((error: unknown) => {
      this.#parts.log.error({ event: 'rules not read', error: String(error) });
      // Copies that cannot be brought up to date must not go on serving by old rules.
      this.#reading = Promise.resolve();
      for (const worker of this.#workers) worker.kill('its rules are out of date');
    });
  }

  async #tellAll(change: Change): Promise<void> {
    const { crls } = this.#parts.authority.trust;
    const listed = crls.reduce((sum, list) => sum + list.serials.size, 0);
    await Promise.all([...this.#workers].map((worker) => worker.tell(change, listed)));
  }

  #count(worker: WorkerProcess, load: Extract<FromWorker, { kind: 'load' }>): void {
    const { activity } = this.#parts;
    for (const [name, count] of Object.entries(load.counted) as [keyof Counters, number][]) {
      activity[name] += count;
    }
    this.#memory.set(worker, load.memoryBytes);
    this.#sum();
  }

  #sum(): void {
    const { activity } = this.#parts;
    activity.workers = [...this.#workers].filter((worker) => worker.isListening).length;
    activity.workerMemoryBytes = [...this.#memory.values()].reduce((sum, one) => sum + one, 0);
  }

  #replace(worker: WorkerProcess, served: boolean, how: string): void {
    const { log } = this.#parts;
    log[this.#isEnding ? 'info' : 'error']({ event: 'worker ended', pid: worker.pid, how });
    this.#workers.delete(worker);
    this.#memory.delete(worker);
    this.#sum();
    if (this.#isEnding) return;
    if (served) this.#startAgain();
    else this.#startLater();
  }

  /** Where even the process cannot be had, for want of memory, the others go on. */
  #startAgain(): void {
    try {
      this.#start();
    } catch (error) {
      this.#parts.log.error({ event: 'worker not started', error: String(error) });
      this.#startLater();
    }
  }

  #startLater(): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer);
      this.#startAgain();
    }, RETRY_MS);
    this.#retries.add(timer);
  }

  async reload(): Promise<void> {
    this.#pair = await readServerPair(this.#parts.authority);
    await this.#tellAll({ kind: 'pair', pair: this.#pair });
  }

  #stopReplacing(): void {
    this.#isEnding = true;
    for (const timer of this.#retries) clearTimeout(timer);
  }

  /** What is in flight is finished; resolves when every worker is dead. */
  async drain(): Promise<void> {
    this.#stopReplacing();
    const workers = [...this.#workers];
    for (const worker of workers) worker.drain();
    const limit = setTimeout(() => {
      for (const worker of workers) worker.kill('it did not drain in time');
    }, DRAIN_MS + DRAIN_GRACE_MS);
    await Promise.all(workers.map((worker) => worker.ended));
    clearTimeout(limit);
  }

  /** Nothing is finished; resolves when every worker is dead. */
  async close(): Promise<void> {
    this.#stopReplacing();
    const workers = [...this.#workers];
    for (const worker of workers) worker.kill('the server ends');
    await Promise.all(workers.map((worker) => worker.ended));
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    await this.#outbox.finish();
  }
}

/**
 * Serves from as many workers as the configuration asks for.
 * @throws RefusalError ADDRESS_UNAVAILABLE, CONFIG_INVALID
 */
export async function startWorkers(parts: Parts, app: RequestListener): Promise<Front> {
  const { values, data } = parts.config;
  const token = randomBytes(32).toString('base64url');
  const port = await bindPort(values.listen);
  const reception = await listenForWorkers(data, parts, app, token).catch((error: unknown) => {
    port.close();
    throw error;
  });
  const workers = new Workers(parts, port.descriptor, token, {
    pair: await readServerPair(parts.authority),
    rules: await parts.readers.readRules(),
  });
  const close = async (): Promise<void> => {
    await workers.close();
    port.close();
    await drainServer(reception);
  };
  try {
    await workers.start(values.workers);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    port: port.port,
    reload: () => workers.reload(),
    async drain() {
      // From here on the kernel refuses, as soon as the last worker has stopped to accept.
      port.close();
      await workers.drain();
    },
    close,
  };
}
