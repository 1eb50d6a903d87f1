/**
 * What listens on the mutual-TLS port: this process, or as many workers as the configuration asks
 * for. Floor 7.
 */
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Parts } from '../operations/operation.ts';
import { drainServer, type Front, listen } from './listen.ts';
import { createGate, describeGate } from './server.ts';
import { createServe, describeFiles } from './serving.ts';
import { canSharePort } from './workers/bound-port.ts';
import { startWorkers } from './workers/workers.ts';

async function openGate(parts: Parts, app: RequestListener): Promise<Front> {
  const gate = await createGate(describeGate(parts), createServe(describeFiles(parts), app));
  const close = async (): Promise<void> => {
    await gate.close();
    gate.server.close();
  };
  try {
    await listen(gate.server, parts.config.values.listen, 'listen');
  } catch (error) {
    await close();
    throw error;
  }
  parts.activity.workers = 1;
  return {
    port: (gate.server.address() as AddressInfo).port,
    reload: () => gate.reload(),
    drain() {
      gate.drain();
      return drainServer(gate.server);
    },
    close,
  };
}

/**
 * Opens the port of `listen`; what is neither under dists/ nor under pool/ goes to `app`.
 * @throws RefusalError ADDRESS_UNAVAILABLE, CONFIG_INVALID
 */
export function openFront(parts: Parts, app: RequestListener): Promise<Front> {
  const { values, texts } = parts.config;
  // A Node from the PATH may be too old for several; who asked for them by number is told so.
  const isAlone = values.workers === 1 || (texts.workers === 'auto' && !canSharePort);
  return isAlone ? openGate(parts, app) : startWorkers(parts, app);
}
