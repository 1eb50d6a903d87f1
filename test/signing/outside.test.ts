/** A Release signed outside by the real gpg, and by signers that lie: what is wrong is not published. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../src/command.ts';
import { createLogger } from '../../src/log.ts';
import { createQueue } from '../../src/queue.ts';
import { readKeyring } from '../../src/signing/key.ts';
import { signDetached, signRelease } from '../../src/signing/sign.ts';
import { reachKeysOutside, type SigningKey } from '../../src/signing/signing-key.ts';
import { createScratch, run } from '../e2e/command.ts';
import { verifySignatures } from '../e2e/signatures.ts';
import { createGpgHome, type GpgHome, twistCommand } from './gpg-home.ts';

const RELEASE = 'Origin: Uni Exämple\nSuite: stable\nSHA256:\n 00 1 main/Packages\n';
const log = createLogger('silent');

const scratch = createScratch('gpg');
let gpg: GpgHome;
let keyring = '';
let fingerprint = '';
let stranger = '';

beforeAll(async () => {
  gpg = await createGpgHome(join(scratch, 'home'));
  fingerprint = await gpg.generate('Archive', 'ed25519');
  stranger = await gpg.generate('Stranger', 'ed25519');
  keyring = await gpg.export('archive.gpg', false, fingerprint);
});

afterAll(() => gpg.close());

async function reach(line: string, file = keyring): Promise<SigningKey[]> {
  const command = { name: 'signer.openpgp', line, log, turns: createQueue() };
  return reachKeysOutside(await readKeyring(await readFile(file)), async (mode, release) =>
    (await runCommand(command, Buffer.from(release), { word: `--${mode}` })).toString(),
  );
}

/** Signs now, as publishing does. */
const sign = async (keys: readonly SigningKey[]) =>
  signRelease(RELEASE, keys, new Date(Date.now() - 1_200_000), Date.now);

let folders = 0;
async function verify(keys: readonly SigningKey[], file: string): Promise<string> {
  folders += 1;
  const folder = join(scratch, `signed-${folders}`);
  await mkdir(folder, { mode: 0o700 });
  const signed = await sign(keys);
  await writeFile(join(folder, 'Release'), signed.release);
  await writeFile(join(folder, 'InRelease'), signed.inRelease);
  await writeFile(join(folder, 'Release.gpg'), signed.releaseGpg);
  return verifySignatures(folder, file);
}

describe('gpg', () => {
  it.each(['ed25519', 'rsa3072', 'nistp256'])(
    'signs with %s what gpgv and sqv accept',
    async (kind) => {
      const made = await gpg.generate(`Key ${kind}`, kind);
      const file = await gpg.export(`${kind}.gpg`, false, made);
      expect(await verify(await reach(gpg.command(made), file), file)).toBe(made);
    },
  );

  it('signs with two keys, for the time in which one follows the other', async () => {
    const next = await gpg.generate('Next', 'ed25519');
    const both = await gpg.export('both.asc', true, fingerprint, next);
    const keys = await reach(gpg.command(fingerprint, next), both);
    expect(keys).toHaveLength(2);
    const signed = await sign(keys);
    for (const [name, one] of [
      ['old.gpg', fingerprint],
      ['new.gpg', next],
    ] as const) {
      const file = await gpg.export(name, false, one);
      expect((signed.inRelease.match(/^-----BEGIN PGP SIGNATURE-----$/gm) ?? []).length).toBe(1);
      expect(await verifyKnown(signed, file)).toContain(`VALIDSIG ${one}`);
    }
  });

  it('may sign with one of two keys of the keyring', async () => {
    const later = await gpg.generate('Later', 'ed25519');
    const both = await gpg.export('ahead.gpg', false, fingerprint, later);
    expect(await verify(await reach(gpg.command(fingerprint), both), both)).toBe(fingerprint);
  });
});

/** gpgv with a keyring that knows one of two signers; its exit status is that of the other. */
async function verifyKnown(signed: { inRelease: string }, file: string): Promise<string> {
  const path = join(scratch, 'two-signers');
  await writeFile(path, signed.inRelease);
  const words = ['--homedir', scratch, '--status-fd', '1', '--keyring', file, path];
  return (await run('gpgv', words)).stdout;
}

describe('nothing is signed where the command', () => {
  const lies: [string, string, RegExp][] = [
    ['signs with a key that is not in the keyring', 'STRANGER', /does not count/],
    ['signs another text', 'echo "Origin: Evil" | right "$@"', /another than what/],
    ['signs a text with a line more', '(cat; echo "Evil: yes") | right "$@"', /another than what/],
    ['writes before the frame', 'echo "Origin: Evil"; right "$@"', /clear-signed text is none/],
    ['writes after the frame', 'right "$@"; echo "Origin: Evil"', /clear-signed text is none/],
    ['changes the text after signing', 'right "$@" | sed s/stable/evil/', /another than what/],
    ['signs nothing', 'cat >/dev/null', /clear-signed text is none/],
    [
      'makes InRelease alone',
      '[ "$1" = --clearsign ] && right "$@" || cat >/dev/null',
      /detached signature is none/,
    ],
    [
      'signs another text detached',
      '[ "$1" = --clearsign ] && right "$@" || (cat >/dev/null; echo other | right "$@")',
      /does not count/,
    ],
    // What is left of it is no signature any more where the damage met its header.
    [
      'damages a signature',
      'right "$@" | sed "/^iH/s/A/B/g"',
      /does not count|cannot be read|holds no signature/,
    ],
  ];

  it.each(lies)('%s', async (_name, script, why) => {
    const right = gpg.command(script === 'STRANGER' ? stranger : fingerprint);
    const body = script === 'STRANGER' ? 'right "$@"' : script;
    const path = await twistCommand(join(scratch, 'twisted'), right, body);
    const failed = sign(await reach(path));
    await expect(failed).rejects.toMatchObject({ code: 'SIGNER_FAILED' });
    await expect(failed).rejects.toThrow(why);
  });

  it('signs another keyring than the one that is given out', async () => {
    const other = '(cat >/dev/null; echo other) | right "$@"';
    for (const [script, why] of [
      [other, /does not count/],
      ['cat', /detached signature is none/],
    ] as const) {
      const twisted = await twistCommand(
        join(scratch, 'twisted'),
        gpg.command(fingerprint),
        script,
      );
      const failed = signDetached(RELEASE, await reach(twisted), new Date(), Date.now);
      await expect(failed).rejects.toMatchObject({ code: 'SIGNER_FAILED' });
      await expect(failed).rejects.toThrow(why);
    }
  });

  it('signs in the future', async () => {
    const right = gpg
      .command(fingerprint)
      .replace('gpg ', 'gpg --faked-system-time 20380101T000000! ');
    await expect(sign(await reach(right))).rejects.toThrow(/does not count/);
  });
});
