/**
 * The program `xz`, for blocks and for streams of them: in processes of its own, behind all others in
 * priority, so that neither the event loop nor the thread pool waits for it. Source of truth:
 * xz(1). Floor 2.
 */
import { spawn } from 'node:child_process';
import { availableParallelism, constants, setPriority } from 'node:os';
import { readXzBlocks, type XzBlock } from './deb/xz-stream.ts';
import { RefusalError, systemCode } from './errors.ts';

/** The dictionary is the largest block; the settings are fixed, whatever the host's defaults. */
const COMPRESS = [
  '--format=xz',
  '--check=crc64',
  '--threads=1',
  '--lzma2=preset=6,dict=1MiB',
  '--stdout',
];
const PATH = '/usr/local/bin:/usr/bin:/bin';
const TIMEOUT_MS = 120_000;

let running = 0;
const waiting: (() => void)[] = [];

async function takeTurn(): Promise<void> {
  if (running < availableParallelism()) running += 1;
  else await new Promise<void>((resolve) => waiting.push(resolve));
}

function passTurn(): void {
  const next = waiting.shift();
  if (next === undefined) running -= 1;
  else next();
}

function explain(error: Error): Error {
  return systemCode(error) === 'ENOENT'
    ? new RefusalError(
        'PROGRAM_MISSING',
        'the program xz is not installed here (Debian package xz-utils), and a suite that offers .xz needs it',
      )
    : error;
}

function runProgram(args: readonly string[], input: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Neither XZ_OPT nor XZ_DEFAULTS: they change what comes out.
    const child = spawn('xz', args, {
      env: { PATH: process.env.PATH ?? PATH, LC_ALL: 'C' },
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    if (child.pid !== undefined) {
      try {
        setPriority(child.pid, constants.priority.PRIORITY_LOW);
      } catch {
        // It is over already, or this system lets nobody change a priority.
      }
    }
    const chunks: Buffer[] = [];
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = `${complaint}${chunk.toString('utf8')}`.slice(0, 500);
    });
    // What it does not read it answers for with its status.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.once('error', (error) => reject(explain(error)));
    child.once('close', (status, signal) => {
      if (status === 0) resolve(Buffer.concat(chunks));
      else reject(new Error(`xz ended with ${signal ?? `status ${status}`}: ${complaint}`));
    });
  });
}

async function runInTurn(args: readonly string[], input: Uint8Array): Promise<Buffer> {
  await takeTurn();
  try {
    return await runProgram(args, input);
  } finally {
    passTurn();
  }
}

/**
 * One block that holds `raw`, of at least one byte; up to 1 MiB is what it is made for.
 * @throws RefusalError PROGRAM_MISSING
 */
export async function compressXzBlock(raw: Uint8Array): Promise<XzBlock> {
  const [block, ...others] = readXzBlocks(await runInTurn(COMPRESS, raw));
  if (block?.rawSize !== raw.length || others.length > 0) {
    throw new Error('xz made something else than one block');
  }
  return block;
}

/** What a whole stream holds. @throws RefusalError PROGRAM_MISSING @throws Error it is damaged */
export function uncompressXzStream(stream: Uint8Array): Promise<Buffer> {
  return runInTurn(['--format=xz', '--decompress', '--stdout'], stream);
}

/** Proves that the program is there and does what is asked of it. @throws RefusalError PROGRAM_MISSING */
export async function checkXzProgram(): Promise<void> {
  await compressXzBlock(Buffer.from('\n'));
}
