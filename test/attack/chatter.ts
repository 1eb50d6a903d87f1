/**
 * A client that never stops asking: one connection after another, kept alive, two requests on the
 * way at any time. It knows of each request whether its certificate was revoked when it was sent,
 * and counts what may not be. Source: RFC 9112.
 */
import { connect, type TLSSocket } from 'node:tls';

export interface Pair {
  cert: Buffer;
  key: Buffer;
}

/** Shared by all connections with one certificate. */
export interface Standing {
  /** A revocation was asked for; from now on a refusal is no fault. */
  isLeaving: boolean;
  /** It returned; from now on an answer to what is sent is one. */
  isGone: boolean;
}

export interface Tally {
  answered: number;
  refused: number;
  /** What must not have been: in words. */
  faults: string[];
}

const DEPTH = 2;
/** As a client does that was refused and does not believe it. */
const MAX_RETURNS = 3;

export class Chatter {
  readonly #options: { port: number; ca: Buffer } & Pair;
  readonly #standing: Standing;
  readonly #tally: Tally;
  readonly #paths: readonly string[];
  readonly #ended = Promise.withResolvers<void>();
  #socket: TLSSocket | undefined;
  /** Of each request on the way: whether it was sent after the revocation had returned. */
  #sent: boolean[] = [];
  #received: Buffer = Buffer.alloc(0);
  #asked = 0;
  #returns = 0;
  #isLast = false;
  #isStopping = false;

  constructor(
    options: { port: number; ca: Buffer } & Pair,
    standing: Standing,
    tally: Tally,
    paths: readonly string[],
  ) {
    this.#options = options;
    this.#standing = standing;
    this.#tally = tally;
    this.#paths = paths;
    this.#open();
  }

  /** Resolves when it has given up, or was stopped and has all its answers. */
  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  stop(): void {
    this.#isStopping = true;
    if (this.#sent.length === 0) this.#socket?.destroy();
  }

  #open(): void {
    if (this.#standing.isGone) this.#returns += 1;
    this.#sent = [];
    this.#received = Buffer.alloc(0);
    this.#isLast = false;
    const socket = connect({ host: '127.0.0.1', servername: 'localhost', ...this.#options });
    this.#socket = socket;
    socket.on('secureConnect', () => this.#ask());
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', () => undefined); // the end of the connection is what is judged
    socket.on('close', () => this.#close());
  }

  #ask(): void {
    while (this.#sent.length < DEPTH && !this.#isLast && !this.#isStopping) {
      if (!this.#socket?.writable) return;
      const path = this.#paths[this.#asked % this.#paths.length] ?? '/';
      this.#asked += 1;
      this.#sent.push(this.#standing.isGone);
      this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    }
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    for (;;) {
      const end = this.#received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = this.#received.subarray(0, end).toString('latin1');
      const length = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
      if (this.#received.length < end + 4 + length) return;
      this.#received = this.#received.subarray(end + 4 + length);
      this.#judge(head);
      this.#ask();
      if (this.#isStopping && this.#sent.length === 0) this.#socket?.destroy();
    }
  }

  #judge(head: string): void {
    const line = head.split('\r\n', 1)[0] ?? '';
    const wasGone = this.#sent.shift();
    // Node's limit of requests on a connection; what comes behind it is asked again on the next.
    if (/^connection: close/im.test(head)) this.#isLast = true;
    if (line === 'HTTP/1.1 200 OK') {
      this.#tally.answered += 1;
      if (wasGone) this.#tally.faults.push('answered what was sent after the revocation returned');
    } else if (line === 'HTTP/1.1 403 Certificate revoked') {
      this.#tally.refused += 1;
      if (!this.#standing.isLeaving) this.#tally.faults.push('refused without a revocation');
    } else {
      this.#tally.faults.push(line);
    }
  }

  #close(): void {
    const { isLeaving, isGone } = this.#standing;
    if (!isLeaving && !this.#isLast && !this.#isStopping) {
      this.#tally.faults.push('cut without a revocation');
    }
    const hasEnough = isGone && this.#returns >= MAX_RETURNS;
    if (this.#isStopping || hasEnough) this.#ended.resolve();
    else this.#open();
  }
}
