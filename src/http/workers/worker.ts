/**
 * A worker: the gate and the hot path in a process of their own, with a copy of what the gate
 * remembers and of the publications in force. It writes nothing, reads no key file and has no
 * catalog; what is no file of the repository it hands over. Without the main process it serves
 * nobody. Floor 7.
 */
import type { AuditEntry } from '../../catalog/audit-chain.ts';
import { RefusalError } from '../../errors.ts';
import type { HashName, PublishedFile } from '../../repository/published-files.ts';
import { openDirectory } from '../../storage/directory.ts';
import { FilesByHash, type FindPast } from '../by-hash.ts';
import { isFileUrl, serveFile } from '../files.ts';
import { drainServer, refuseAddress } from '../listen.ts';
import { createGate, type Gate } from '../server.ts';
import { openSocketPath } from '../socket.ts';
import { type Copy, createCopy, followChange, NOTHING_COUNTED } from './copy.ts';
import { handOver } from './hand-over.ts';
import type { Beginning, Change, Counters, FromWorker, ToWorker } from './messages.ts';
import { RECEPTION_NAME } from './reception.ts';
import { LISTEN_DESCRIPTOR } from './worker-process.ts';

const LOAD_INTERVAL_MS = 1000;

function tell(message: FromWorker, sent: () => void = () => {}): void {
  process.send?.(message, undefined, undefined, sent);
}

/** Resolves when the message is on its way. */
const tellWhole = (message: FromWorker): Promise<void> =>
  new Promise((resolve) => tell(message, resolve));

async function openGate(
  { data, values, token }: Beginning,
  copy: Copy,
  findPast: FindPast,
): Promise<Gate> {
  const { trust, live, readers, activity, log } = copy;
  const storage = await openDirectory(data);
  const byHash = new FilesByHash(findPast);
  const fileParts = { repository: { live, storage }, readers, byHash, activity, log };
  const socket = await openSocketPath(data, RECEPTION_NAME);
  const handOverParts = { socket, token, idleTimeout: values['upload.idleTimeout'] };
  const gateParts = {
    ...{ authority: { trust }, activity, config: { values }, log, now: Date.now },
    readPair: async () => copy.pair,
    append: (entries: readonly AuditEntry[]) => tellWhole({ kind: 'audit', entries }),
  };
  return createGate(gateParts, (request, response, actor, presented) => {
    // The one place where a worker answers by itself: what the actor may read is asked in there.
    if (isFileUrl(request.url ?? '')) serveFile(fileParts, request, response, actor);
    else handOver(handOverParts, request, response, presented);
  });
}

/** What was counted since the last telling, and the memory. */
function createReport(activity: Counters): () => FromWorker {
  let told = { ...NOTHING_COUNTED };
  return () => {
    const names = Object.keys(NOTHING_COUNTED) as (keyof Counters)[];
    const since = names.map((name) => [name, activity[name] - told[name]]);
    told = { ...activity };
    const counted = Object.fromEntries(since) as Counters;
    return { kind: 'load', counted, memoryBytes: process.memoryUsage.rss() };
  };
}

/** Says what kept it from serving, and ends. */
function fail(error: unknown): void {
  const code = error instanceof RefusalError ? error.code : null;
  const why = error instanceof Error ? error.message : String(error);
  tell({ kind: 'failed', code, why }, () => process.exit(1));
}

class Worker {
  readonly #copy: Copy;
  readonly #beginning: Beginning;
  readonly #report: () => FromWorker;
  /** Question -> what waits for its answer. */
  readonly #questions = new Map<number, (suites: readonly string[]) => void>();
  readonly #fileQuestions = new Map<number, (file: PublishedFile | undefined) => void>();
  #asked = 0;
  #gate: Gate | undefined;

  constructor(beginning: Beginning) {
    this.#beginning = beginning;
    this.#copy = createCopy(beginning, (key) => this.#ask(key));
    this.#report = createReport(this.#copy.activity);
  }

  #ask(key: string): Promise<readonly string[]> {
    this.#asked += 1;
    const question = this.#asked;
    return new Promise((resolve) => {
      this.#questions.set(question, resolve);
      tell({ kind: 'question', question, key });
    });
  }

  #askForFile(name: HashName): Promise<PublishedFile | undefined> {
    this.#asked += 1;
    const question = this.#asked;
    return new Promise((resolve) => {
      this.#fileQuestions.set(question, resolve);
      tell({ kind: 'file question', question, name });
    });
  }

  answerFile(question: number, file: PublishedFile | null): void {
    this.#fileQuestions.get(question)?.(file ?? undefined);
    this.#fileQuestions.delete(question);
  }

  answer(question: number, suites: readonly string[]): void {
    this.#questions.get(question)?.(suites);
    this.#questions.delete(question);
  }

  async open(): Promise<void> {
    const gate = await openGate(this.#beginning, this.#copy, (name) => this.#askForFile(name));
    const { address } = this.#beginning;
    gate.server.once('error', (error) => fail(refuseAddress('listen', address, error)));
    this.#gate = gate;
    tell({ kind: 'prepared' });
  }

  follow(change: Change): void {
    if (!followChange(this.#copy, change).isOtherPair) return;
    this.#gate
      ?.reload()
      .catch((error: unknown) =>
        this.#copy.log.error({ event: 'tls.reload failed', error: String(error) }),
      );
  }

  listen(): void {
    this.#gate?.server.listen({ fd: LISTEN_DESCRIPTOR }, () => {
      setInterval(() => tell(this.#report()), LOAD_INTERVAL_MS).unref();
      tell(this.#report());
      tell({ kind: 'listening' });
    });
  }

  /** What is in flight is finished; then the process ends. */
  async drain(): Promise<void> {
    this.#gate?.drain();
    if (this.#gate?.server.listening) await drainServer(this.#gate.server);
    await this.#gate?.close();
    tell(this.#report(), () => process.exit(0));
  }
}

/** Serves until the main process says otherwise, or is gone. */
export function runWorker(): void {
  let worker: Worker | undefined;
  const take = (message: ToWorker): void => {
    switch (message.kind) {
      case 'begin':
        worker = new Worker(message);
        worker.open().catch(fail);
        break;
      case 'change':
        worker?.follow(message.change);
        tell({ kind: 'acknowledged', order: message.order });
        break;
      case 'suites':
        worker?.answer(message.question, message.suites);
        break;
      case 'file':
        worker?.answerFile(message.question, message.file);
        break;
      case 'listen':
        worker?.listen();
        break;
      case 'drain':
        if (worker) worker.drain().catch(fail);
        else process.exit(0);
        break;
    }
  };
  // What is thrown here ends the process: a copy that cannot follow lets in whom it should refuse.
  process.on('message', (message) => take(message as ToWorker));
  // Nobody would tell it of a revocation any more.
  process.on('disconnect', () => process.exit(1));
  tell({ kind: 'started' });
}
