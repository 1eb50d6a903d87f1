/** Private keys at rest: openssl reads what we write, and we read what openssl writes. */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  decryptPrivateKey,
  encryptPrivateKey,
  isEncryptedKey,
  RANDOM_BYTES,
} from '../../src/pki/encrypted-key.ts';
import { encodePrivateKey, generatePrivateKey, type KeyKind } from '../../src/pki/key.ts';
import { createScratch, run, succeed } from '../e2e/command.ts';

const scratch = createScratch('encrypted-key');
const WORD = 'Rübe, "quoted" $HOME';
const wordFile = join(scratch, 'word');
writeFileSync(wordFile, `${WORD}\nanother line\n`);

const KINDS: KeyKind[] = ['P-256', 'P-384', 'Ed25519', 'RSA-2048'];

describe('a key under a passphrase', () => {
  it.each(KINDS)('of the kind %s is what openssl opens, byte for byte', async (kind) => {
    const key = generatePrivateKey(kind);
    const file = join(scratch, `${kind}.pem`);
    const pem = await encryptPrivateKey(key, WORD, randomBytes(RANDOM_BYTES));
    writeFileSync(file, pem);
    const plain = await succeed('openssl', ['pkey', '-in', file, '-passin', `file:${wordFile}`]);
    expect(plain).toBe(encodePrivateKey(key));
    expect(isEncryptedKey(pem)).toBe(true);
    expect(isEncryptedKey(plain)).toBe(false);
    expect(decryptPrivateKey(pem, WORD).equals(key)).toBe(true);
  });

  it('is stretched by scrypt with 2^14, 8 and 5, and encrypted with AES-256', async () => {
    const file = join(scratch, 'shown.pem');
    const key = generatePrivateKey();
    writeFileSync(file, await encryptPrivateKey(key, WORD, randomBytes(RANDOM_BYTES)));
    const text = await succeed('openssl', ['asn1parse', '-in', file]);
    const values = [...text.matchAll(/prim: +(OBJECT|INTEGER) +:(.*)/g)].map((match) => match[2]);
    expect(values).toEqual(['PBES2', 'scrypt', '4000', '08', '05', '20', 'aes-256-cbc']);
  });

  it('looks different each time, and opens for nobody else', async () => {
    const key = generatePrivateKey();
    const [one, two] = [
      await encryptPrivateKey(key, WORD, randomBytes(RANDOM_BYTES)),
      await encryptPrivateKey(key, WORD, randomBytes(RANDOM_BYTES)),
    ];
    expect(one).not.toBe(two);
    for (const word of ['', WORD.slice(1), `${WORD} `, undefined]) {
      expect(() => decryptPrivateKey(one, word)).toThrow();
    }
    await expect(encryptPrivateKey(key, WORD, randomBytes(8))).rejects.toThrow(RangeError);
  });

  const PARAMETERS = [
    ['scrypt', ['-scrypt']],
    [
      'scrypt with more work',
      ['-scrypt', '-scrypt_N', '16384', '-scrypt_r', '8', '-scrypt_p', '4'],
    ],
    ['PBKDF2', ['-v2', 'aes-256-cbc', '-iter', '100000']],
  ] as const;
  it.each(PARAMETERS)('made by openssl with %s is read', async (_name, flags) => {
    const key = generatePrivateKey();
    const plain = join(scratch, 'plain.pem');
    writeFileSync(plain, encodePrivateKey(key));
    const words = ['pkcs8', '-topk8', ...flags, '-in', plain, '-passout', `file:${wordFile}`];
    const pem = await succeed('openssl', words);
    expect(isEncryptedKey(pem)).toBe(true);
    expect(decryptPrivateKey(pem, WORD).equals(key)).toBe(true);
  });

  it("in openssl's older form is read", async () => {
    const plain = join(scratch, 'plain-ec.pem');
    writeFileSync(plain, encodePrivateKey(generatePrivateKey()));
    const words = ['ec', '-in', plain, '-aes256', '-passout', `file:${wordFile}`];
    const { stdout } = await run('openssl', words);
    expect(isEncryptedKey(stdout)).toBe(true);
    expect(decryptPrivateKey(stdout, WORD).asymmetricKeyType).toBe('ec');
  });
});
