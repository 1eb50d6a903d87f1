/** The rest of a body whose answer has gone out already. Floor 7. */
import type { IncomingMessage } from 'node:http';

/** How long the rest of a refused body is read before the connection is cut. */
const LINGER_MS = 5000;

/** The peer may still be sending: it reads the answer only if we go on reading for a while. */
export function readRest(request: IncomingMessage): void {
  if (request.complete) return;
  request.resume();
  const { socket } = request;
  const timer = setTimeout(() => {
    if (!request.complete) socket?.destroy();
  }, LINGER_MS);
  timer.unref();
}
