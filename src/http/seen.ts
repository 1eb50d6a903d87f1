/**
 * Which publication apt is reading: the one whose Release file its connection was given last. apt
 * asks for InRelease first and for the indexes after it, on one connection; where it asks by plain
 * names, it is given those that its InRelease lists, whatever was published meanwhile. Other clients
 * may well ask for an index alone after a change, so they get the newest. Floor 7.
 */
import type { IncomingMessage } from 'node:http';
import type { LivePublication } from '../repository/live.ts';

/** By connection, gone with it; then by suite. */
const seen = new WeakMap<object, Map<string, LivePublication>>();

/** The client was given the Release file of this publication, or told that it has it. */
export function rememberSeen(request: IncomingMessage, publication: LivePublication): void {
  if (!/^Debian APT-/.test(request.headers['user-agent'] ?? '')) return;
  const suites = seen.get(request.socket) ?? new Map<string, LivePublication>();
  seen.set(request.socket, suites.set(publication.suite, publication));
}

/** The publication that a client reads; undefined where it has not seen a Release file. */
export function recallSeen(request: IncomingMessage, suite: string): LivePublication | undefined {
  return seen.get(request.socket)?.get(suite);
}
