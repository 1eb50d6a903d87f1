/** From `npm ci` on a fresh clone to the ready line. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from './server.ts';

export async function measureStart(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'aptkeep-clone-'));
  const clone = join(folder, 'aptkeep');
  execFileSync('git', ['clone', '--quiet', ROOT, clone]);
  const began = performance.now();
  execFileSync('npm', ['ci', '--silent'], { cwd: clone, stdio: 'ignore' });
  const installed = performance.now();
  const child = spawn('npm', ['start'], {
    cwd: clone,
    stdio: ['ignore', 'pipe', 'ignore'],
    detached: true,
    env: { ...process.env, APTKEEP_LISTEN: '127.0.0.1:0', APTKEEP_HEALTH_LISTEN: 'off' },
  });
  await new Promise<void>((ready) => {
    let text = '';
    child.stdout.on('data', (chunk) => {
      text += chunk;
      if (text.includes('aptkeep: ready')) ready();
    });
  });
  const done = performance.now();
  const ended = new Promise((end) => child.once('exit', end));
  if (child.pid) process.kill(-child.pid, 'SIGTERM');
  await ended;
  rmSync(folder, { recursive: true });
  const seconds = (ms: number): string => (ms / 1000).toFixed(1);
  console.log(
    `npm ci ${seconds(installed - began)} s, npm start to ready ${seconds(done - installed)} s`,
  );
}
