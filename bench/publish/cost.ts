/**
 * What a step costs: wall time, CPU of the processes that did it, peak memory, bytes written.
 * Source: proc(5). What a child that was waited for had used is added to its parent's account.
 */
import { type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Milliseconds of wall and CPU time, bytes sent to the disk, bytes of memory at the most. */
export interface Cost {
  wall: number;
  cpu: number;
  written: number;
  peak: number;
  /** CPU of the client, where the server's is counted apart. */
  client?: number;
}

/** Of /proc: a hundredth of a second on every Debian kernel. */
const TICK_MS = 10;
/** A peak only grows: one look shortly before the end suffices. */
const LOOK_MS = 5;

export const readProc = (pid: number | 'self', file: string): string =>
  readFileSync(`/proc/${pid}/${file}`, 'utf8');

export const readNumber = (text: string, name: string): number =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);

/** CPU of the children of this process that have ended, in milliseconds, in steps of ten. */
function readChildrenCpu(): number {
  const fields = readProc('self', 'stat').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[13]) + Number(fields[14])) * TICK_MS;
}

export const readWritten = (pid: number | 'self'): number =>
  readNumber(readProc(pid, 'io'), 'write_bytes');

export const readPeak = (pid: number): number =>
  readNumber(readProc(pid, 'status'), 'VmHWM') * 1024;

/** CPU of all threads of a process that runs, in milliseconds, to the nanosecond. */
export function readThreadsCpu(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readProc(pid, `task/${thread}/schedstat`).split(' ')[0]);
  }
  return nanoseconds / 1e6;
}

export interface Command {
  command: string;
  args: readonly string[];
  options?: SpawnOptions;
}

/** Runs a program to its end. @throws Error with what it said where it did not end with 0. */
export async function runCommand({ command, args, options }: Command): Promise<Cost> {
  const cpu = readChildrenCpu();
  const written = readWritten('self');
  let peak = 0;
  let said = '';
  const began = performance.now();
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  const take = (chunk: Buffer): void => {
    said = (said + chunk).slice(-10_000);
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  const timer = setInterval(() => {
    try {
      peak = Math.max(peak, readPeak(child.pid ?? 0));
    } catch {
      // Gone already.
    }
  }, LOOK_MS);
  try {
    const ended = await new Promise<{ status: number | null; at: number }>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (status) => resolve({ status, at: performance.now() }));
    });
    if (ended.status !== 0) {
      throw new Error(`${command} ${args.slice(0, 3).join(' ')}: ${ended.status}: ${said}`);
    }
    return {
      wall: ended.at - began,
      cpu: readChildrenCpu() - cpu,
      written: readWritten('self') - written,
      peak,
    };
  } finally {
    clearInterval(timer);
  }
}

/** Several steps that are one. */
export async function inOrder(steps: readonly (() => Promise<Cost>)[]): Promise<Cost> {
  const sum: Cost = { wall: 0, cpu: 0, written: 0, peak: 0 };
  for (const step of steps) {
    const cost = await step();
    sum.wall += cost.wall;
    sum.cpu += cost.cpu;
    sum.written += cost.written;
    sum.peak = Math.max(sum.peak, cost.peak);
  }
  return sum;
}

/** What a running server and this process, its client, use while `step` runs. */
export async function watchServer(pid: number, step: () => Promise<unknown>): Promise<Cost> {
  const cpu = readThreadsCpu(pid);
  const written = readWritten(pid);
  const client = process.cpuUsage();
  const began = performance.now();
  await step();
  const wall = performance.now() - began;
  const own = process.cpuUsage(client);
  return {
    wall,
    cpu: readThreadsCpu(pid) - cpu,
    written: readWritten(pid) - written,
    peak: readPeak(pid),
    client: (own.user + own.system) / 1000,
  };
}
