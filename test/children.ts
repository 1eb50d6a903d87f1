/** Children of the tests: programs of ours that are killed, or that run out of room. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

const TEST = new URL('.', import.meta.url).pathname;

/**
 * Start a program below test/, and kill it with SIGKILL when it has printed so many lines.
 * Resolves with all the lines that came before its end, after its end.
 */
export async function killAfterLines(
  program: string,
  programArguments: string[],
  lines: number,
): Promise<string[]> {
  const child = spawn(process.execPath, [join(TEST, program), ...programArguments], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const printed: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    printed.push(line);
    if (printed.length === lines) child.kill('SIGKILL');
  }
  const [, signal] = await ended;
  if (signal !== 'SIGKILL') throw new Error(`${program} ended by itself`);
  return printed;
}

/**
 * Run a program below test/ that can write no file larger than `maxKib` (EFBIG, which stands here
 * for a full disk and needs no root); resolves with the JSON it printed.
 */
export async function runLimited(
  program: string,
  programArguments: string[],
  maxKib: number,
): Promise<unknown> {
  // dash counts blocks of 512 bytes.
  const script = `ulimit -f ${maxKib * 2}; exec "$@"`;
  const child = spawn(
    'sh',
    ['-c', script, 'sh', process.execPath, join(TEST, program), ...programArguments],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [output] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return JSON.parse(output);
}
