/**
 * A PKCS#11 token of one's own: SoftHSM with keys that never leave it, and the command that signs
 * with each, as docs/keys.md has them. The PIN stands in a file and in the command's environment.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cleanEnvironment, succeed } from '../e2e/command.ts';

export const PIN = '73550912';
/** Brought into the token: pkcs11-tool of Debian 12 reads no public key of this curve out of it. */
const P384 = 'EC:secp384r1';

/** A key in a token: what to put into signer.* and signer.*PublicKey. */
export interface TokenKey {
  command: string;
  publicKey: string;
}

export interface Token {
  /** @param kind as `pkcs11-tool --key-type` has it; the digest belongs to it. */
  generate(label: string, kind: string, digest: string, mechanism: string): Promise<TokenKey>;
}

export async function createToken(folder: string): Promise<Token> {
  const configuration = join(folder, 'softhsm2.conf');
  const pinFile = join(folder, 'pin');
  await mkdir(join(folder, 'tokens'), { recursive: true });
  await writeFile(pinFile, `${PIN}\n`, { mode: 0o600 });
  const lines = [
    `directories.tokendir = ${join(folder, 'tokens')}`,
    'objectstore.backend = file',
    'log.level = ERROR',
  ];
  await writeFile(configuration, `${lines.join('\n')}\n`);
  const env = { ...cleanEnvironment(), SOFTHSM2_CONF: configuration, PIN };
  const words = ['--init-token', '--free', '--label', 'aptkeep', '--pin', PIN, '--so-pin', '5678'];
  await succeed('softhsm2-util', words, { env });
  const tool =
    'pkcs11-tool --module /usr/lib/softhsm/libsofthsm2.so --token-label aptkeep --login --pin env:PIN';
  let keys = 0;
  return {
    async generate(label, kind, digest, mechanism) {
      keys += 1;
      const id = `0${keys}`;
      const sh = (script: string) => succeed('sh', ['-ec', script], { env });
      const publicKey = join(folder, `${label}.pem`);
      if (kind === P384) {
        await sh(`key=${publicKey}.key
          openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out $key
          openssl pkey -in $key -pubout -out ${publicKey}
          softhsm2-util --import $key --token aptkeep --label ${label} --id ${id} --pin ${PIN}
          rm $key`);
      } else {
        await sh(`${tool} --keypairgen --key-type ${kind} --label ${label} --id ${id}
          ${tool} --read-object --type pubkey --id ${id} --output-file ${publicKey}.der
          openssl pkey -pubin -inform DER -in ${publicKey}.der -out ${publicKey}`);
      }
      const command = join(folder, `sign-${label}`);
      const hash = digest === '' ? 'cat' : `openssl dgst -${digest} -binary`;
      const format = mechanism === 'ECDSA' ? ' --signature-format openssl' : '';
      const script = [
        '#!/bin/sh',
        `export SOFTHSM2_CONF=${configuration}`,
        `PIN=$(cat ${pinFile})`,
        'export PIN',
        `${hash} | ${tool} --sign --mechanism ${mechanism}${format} --id ${id}`,
      ];
      await writeFile(command, `${script.join('\n')}\n`);
      await chmod(command, 0o700);
      return { command, publicKey };
    },
  };
}
