/** The cleartext framework: what gpg frames comes out as it went in, anything else is refused. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readClearSigned } from '../../src/deb/clear-sign.ts';
import { RefusalError } from '../../src/errors.ts';

const home = mkdtempSync(join(tmpdir(), 'aptkeep-gpg-'));
const gpg = (args: string[], input = ''): string =>
  execFileSync('gpg', ['--homedir', home, '--batch', '--quiet', ...args], {
    input,
    stdio: ['pipe', 'pipe', 'ignore'],
  }).toString();
const TEXT = 'Format: 1.8\nA: -b\n- a dash\n\n-----BEGIN x\nFrom here\n . \t\nEnd: é\n';
let signed = '';
beforeAll(() => {
  gpg(['--passphrase', '', '--quick-gen-key', 'Test <t@example.org>', 'ed25519', 'sign', 'never']);
  signed = gpg(['--clearsign'], TEXT);
});
afterAll(() => {
  execFileSync('gpgconf', ['--homedir', home, '--kill', 'all']);
  rmSync(home, { recursive: true, force: true });
});

describe('readClearSigned', () => {
  it('gives back what gpg has framed, without what the signature does not cover', () => {
    const { content, isSigned } = readClearSigned(Buffer.from(signed));
    expect(isSigned).toBe(true);
    expect(content.toString()).toBe(TEXT.replace(' . \t\n', ' .\n'));
  });

  it('gives back as it is what has no frame', () => {
    const bytes = Buffer.from('Format: 1.8\nChanges:\n -----BEGIN PGP\n \xe9\n', 'latin1');
    expect(readClearSigned(bytes)).toEqual({ content: bytes, isSigned: false });
  });

  const refused: Record<string, (text: string) => string> = {
    'text before it': (text) => `Forged: yes\n${text}`,
    'an empty line before it': (text) => `\n${text}`,
    'text behind it': (text) => `${text}Forged: yes\n`,
    'a second one behind it': (text) => text + text,
    'a blank behind its first line': (text) => text.replace('MESSAGE-----', 'MESSAGE----- '),
    'another header': (text) => text.replace(/\n\n/, '\nComment: x\n\n'),
    'no empty line behind its headers': (text) => text.replace(/\n\n/, '\n'),
    'no signature': (text) => text.slice(0, text.indexOf('-----BEGIN PGP SIGNATURE')),
    'an empty signature': (text) => text.replace(/(SIGNATURE-----\n)[\s\S]*(-----END)/, '$1$2'),
    'no end': (text) => text.replace(/-----END[\s\S]*/, ''),
    'text in its signature': (text) => text.replace('-----END', 'Forged: yes!\n-----END'),
    'a line that is not escaped': (text) => text.replace('- -----BEGIN x', '-----BEGIN x'),
    'DOS line endings': (text) => text.replaceAll('\n', '\r\n'),
  };
  it.each(Object.entries(refused))('refuses %s', (_name, damage) => {
    const text = damage(signed);
    expect(text).not.toBe(signed);
    expect(() => readClearSigned(Buffer.from(text))).toThrow(RefusalError);
  });

  it('is taken apart or refused, whatever is damaged, and says no more than was there', () => {
    const whole = Buffer.from(signed);
    const damage = fc.record({
      at: fc.nat(whole.length - 1),
      drop: fc.nat(20),
      add: fc.constantFrom('', '\n', '- ', '-----BEGIN PGP SIGNATURE-----\n', 'Forged: yes\n'),
    });
    fc.assert(
      fc.property(damage, ({ at, drop, add }) => {
        const parts = [whole.subarray(0, at), Buffer.from(add), whole.subarray(at + drop)];
        try {
          const text = Buffer.concat(parts);
          expect(readClearSigned(text).content.length).toBeLessThanOrEqual(text.length);
        } catch (error) {
          expect(error).toBeInstanceOf(RefusalError);
        }
      }),
    );
  });
});
