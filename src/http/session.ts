/** The actor that the gate found for a request, kept beside it. Floor 7. */
import type { IncomingMessage } from 'node:http';
import type { Actor } from '../operations/operation.ts';

const actors = new WeakMap<IncomingMessage, Actor>();

export function rememberActor(request: IncomingMessage, actor: Actor): void {
  actors.set(request, actor);
}

/** @throws Error where a request came past the gate, which is a bug. */
export function actorOf(request: IncomingMessage): Actor {
  const actor = actors.get(request);
  if (!actor) throw new Error('a request without an actor');
  return actor;
}
