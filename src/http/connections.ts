/**
 * The open connections by serial, so that a revocation cuts what it names and an out-of-date list
 * cuts what is under way. Floor 7.
 */
import type { Socket } from 'node:net';
import type { Trust } from '../authority/trust.ts';
import type { Presented } from './identity.ts';

/** One admitted connection; `busy` counts requests whose answer is not finished. */
export interface Connection {
  socket: Socket;
  /** The client's, which is not the socket's where a proxy stands between. */
  address: string | undefined;
  presented: Presented;
  busy: number;
  /** All requests so far. */
  requests: number;
  /** Told its end already; what is said twice would never be read. */
  leaving: boolean;
}

/** How long a connection that was told its end stays open for the peer to read it. */
const LINGER_MS = 1000;

/** What a client reads on an idle connection whose certificate was revoked. */
const FAREWELL = Buffer.from(
  'HTTP/1.1 403 Certificate revoked\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: 20\r\n\r\nCertificate revoked\n',
);

export class Connections {
  readonly #open = new Map<Socket, Connection>();

  get size(): number {
    return this.#open.size;
  }

  add(socket: Socket, presented: Presented, address = socket.remoteAddress): void {
    this.#open.set(socket, { socket, address, presented, busy: 0, requests: 0, leaving: false });
    socket.once('close', () => this.#open.delete(socket));
  }

  find(socket: object): Connection | undefined {
    return this.#open.get(socket as Socket);
  }

  /**
   * Ends every connection that `isRefused` names: at once in mid-answer, with a word when idle.
   * What `mayFinish` names is left to its answer; whatever it asks for next is refused.
   */
  cut(
    isRefused: (presented: Presented) => boolean,
    mayFinish: (presented: Presented) => boolean = () => false,
  ): number {
    let count = 0;
    for (const connection of this.#open.values()) {
      if (connection.leaving || !isRefused(connection.presented)) continue;
      if (connection.busy > 0 && mayFinish(connection.presented)) continue;
      count += 1;
      connection.leaving = true;
      if (connection.busy > 0) connection.socket.destroy();
      else sayFarewell(connection.socket);
    }
    return count;
  }

  /** Ends those whose certificate counts no more. */
  cutRefused(trust: Trust): number {
    return this.cut(
      ({ serial, authority }) => trust.isRevoked(serial, authority) || !trust.counts(authority),
      // The request under way is the one that used it up, or is refused for coming second.
      ({ serial }) => trust.find(serial)?.role === 'enrolment',
    );
  }

  /** Cuts what is under way and leaves idle connections to be refused at their next request. */
  cutBusy(): void {
    for (const { socket, busy } of this.#open.values()) if (busy > 0) socket.destroy();
  }

  destroyAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
  }
}

function sayFarewell(socket: Socket): void {
  socket.end(FAREWELL);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}
