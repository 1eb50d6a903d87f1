/** A gpg home of one's own with a signing key, and the command that signs with it as docs/keys.md has it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run, succeed } from '../e2e/command.ts';

export interface GpgHome {
  /** Makes a key; answers its fingerprint. @param kind as `gpg --quick-generate-key` has it. */
  generate(name: string, kind: string): Promise<string>;
  /** For signer.openpgp. */
  command(...fingerprints: string[]): string;
  /** Writes the public keys, armoured or binary; answers the path. For signer.openpgpKeyring. */
  export(file: string, armored: boolean, ...fingerprints: string[]): Promise<string>;
  /** Ends its agent. */
  close(): Promise<void>;
}

/** @param folder of a short path: the agent's socket may have 107 bytes. */
export async function createGpgHome(folder: string): Promise<GpgHome> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const base = ['--homedir', folder, '--batch', '--no-tty'];
  return {
    async generate(name, kind) {
      const words = ['--pinentry-mode', 'loopback', '--passphrase', ''];
      const made = ['--quick-generate-key', name, kind, 'sign', 'never'];
      await succeed('gpg', [...base, ...words, ...made]);
      const listed = await succeed('gpg', [...base, '--with-colons', '--list-keys', `=${name}`]);
      return /^fpr:+([0-9A-F]{40}):/m.exec(listed)?.[1] ?? '';
    },
    command: (...fingerprints) => {
      const users = fingerprints.map((one) => `--local-user ${one}`).join(' ');
      return `env GNUPGHOME=${folder} gpg --batch --armor --digest-algo SHA512 ${users}`;
    },
    async export(file, armored, ...fingerprints) {
      const path = join(folder, file);
      const flags = [...(armored ? ['--armor'] : []), '--output', path, '--yes'];
      await succeed('gpg', [...base, ...flags, '--export', ...fingerprints]);
      return path;
    },
    async close() {
      await run('gpgconf', ['--homedir', folder, '--kill', 'all']);
    },
  };
}

/** A signer that answers whatever `script` makes of the right answer; for lies. */
export async function twistCommand(path: string, command: string, script: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\nright() { ${command} "$@"; }\n${script}\n`, { mode: 0o700 });
  return path;
}
