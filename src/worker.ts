/** The entry point of a worker process, which the server starts for itself: hands over at once. Floor 8. */
import { enableCompileCache } from 'node:module';

// Ctrl-C reaches the whole group of the terminal: the server decides, its workers follow.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
enableCompileCache(new URL('../node_modules/.cache/compile', import.meta.url).pathname);
const { runWorker } = await import('./http/workers/worker.ts');
runWorker();
