/** The walk-through of docs/own-pki.md, as printed: its blocks are run by sh, in an empty folder. */
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CHECKOUT, createScratch, run, succeed } from './command.ts';
import { APTKEEP, programEnvironment, type Server, startServer } from './program.ts';

const scratch = createScratch('own-pki');
const folder = join(scratch, 'empty');
let server: Server | undefined;
let before = '';
let after = '';

const shell = (script: string) => {
  const env = programEnvironment({ PATH: `${dirname(APTKEEP)}:${process.env.PATH}` });
  return run('sh', ['-eu', '-c', script], { cwd: folder, env });
};

/** The indented lines of the section, without those that stand before and after `aptkeep serve`. */
beforeAll(async () => {
  const text = await readFile(join(CHECKOUT, 'docs/own-pki.md'), 'utf8');
  const section = /\n## A walk-through\n([\s\S]*?)\n## /.exec(text)?.[1] ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('    '));
  const code = lines.map((line) => line.slice(4)).join('\n');
  [before = '', after = ''] = code.split('aptkeep serve --data data');
  await mkdir(folder);
});

afterAll(() => server?.stop());

describe('the walk-through', () => {
  it('makes a PKI and a configuration with which the server starts', async () => {
    const made = await shell(before);
    expect(made.status, made.stderr).toBe(0);
    const trusted = [
      '-CAfile',
      join(folder, 'root/ca.crt'),
      '-untrusted',
      join(folder, 'machines/ca.crt'),
    ];
    await succeed('openssl', ['verify', '-x509_strict', ...trusted, join(folder, 'web1.crt')]);
    server = await startServer({ data: join(folder, 'data') });
    expect(server.url).toBe(`https://localhost:${server.port}`);
  });

  it('ends with a host that was let in, and is not any more', async () => {
    const outcome = await shell(after.replaceAll('localhost:8443', `localhost:${server?.port}`));
    expect(outcome.status, outcome.stderr).toBe(0);
    expect(outcome.stdout).toContain('-----BEGIN PGP SIGNATURE-----');
    expect(outcome.stdout).toMatch(/Uni Machines +2 /);
    expect(outcome.stdout.trim().split('\n').at(-1)).toContain('"title":"Certificate revoked"');
  });
});
