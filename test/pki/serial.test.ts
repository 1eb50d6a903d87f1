/** Serial numbers: one spelling for what openssl, certtool and people write. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { writeDer } from '../../src/pki/asn1.ts';
import { MalformedDer, readElement } from '../../src/pki/der.ts';
import {
  canonicalSerial,
  checkSerial,
  createInteger,
  createSerial,
  readInteger,
} from '../../src/pki/serial.ts';
import { openFolder, refusalOf } from './tools.ts';

const folder = openFolder();

describe('canonicalSerial', () => {
  it.each([
    ['lower case', '1a2b', '1a2b'],
    ['upper case, as openssl prints it', '1A2B', '1a2b'],
    ['colons, as a browser prints it', '0A:00:FF', 'a00ff'],
    ['leading zeros', '000001', '1'],
    ['the sign byte of a top bit', '00FF', 'ff'],
    ['an odd number of digits', 'abc', 'abc'],
    ['zero', '00', '0'],
    ['20 bytes', `7f${'ff'.repeat(19)}`, `7f${'ff'.repeat(19)}`],
  ])('takes %s', (_name, spelling, serial) => {
    expect(canonicalSerial(spelling)).toBe(serial);
  });

  it.each([
    ['nothing', ''],
    ['a negative number', '-1F'],
    ['a prefix', '0x1f'],
    ['letters beyond f', '1g'],
    ['spaces', ' 1f'],
    ['a newline at the end', '1f\n'],
    ['a colon out of place', '1:f'],
    ['a colon at the end', '1f:'],
    ['20 bytes with the top bit set', `80${'00'.repeat(19)}`],
    ['21 bytes', `01${'00'.repeat(20)}`],
    ['a long text', '0'.repeat(100_000)],
  ])('refuses %s', (_name, spelling) => {
    expect(refusalOf(() => canonicalSerial(spelling))).toMatch(/^INPUT_INVALID: .*serial number/);
  });
});

describe('createSerial', () => {
  it('is the number of its 16 bytes', () => {
    expect(createSerial(Buffer.from('00ff0000000000000000000000000001', 'hex'))).toBe(
      'ff0000000000000000000000000001',
    );
  });

  it.each([
    ['zeros only', Buffer.alloc(16)],
    ['too few bytes', Buffer.alloc(8, 1)],
  ])('does not go on with %s', (_name, bytes) => {
    expect(() => createSerial(bytes)).toThrow(RangeError);
  });

  it('is canonical', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
        fc.pre(bytes.some((byte) => byte !== 0));
        const serial = createSerial(bytes);
        checkSerial(serial);
        expect(BigInt(`0x${serial}`)).toBe(BigInt(`0x${Buffer.from(bytes).toString('hex')}`));
      }),
    );
  });
});

describe('integers of DER', () => {
  const values = [
    '0',
    '1',
    '7f',
    '80',
    'ff',
    '100',
    '8000',
    `ff${randomBytes(15).toString('hex')}`,
  ];

  it.each(values)('writes %s as openssl does', (value) => {
    folder.run('openssl', 'asn1parse', '-genstr', `INTEGER:0x${value}`, '-noout', '-out', 'i.der');
    expect(Buffer.from(writeDer(createInteger(value)))).toEqual(folder.read('i.der'));
  });

  it('reads what it wrote', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 159n - 1n), (value) => {
        const der = writeDer(createInteger(value.toString(16)));
        expect(readInteger(readElement(der, 0, der.length), 'x')).toBe(value.toString(16));
      }),
    );
  });

  it.each([
    ['empty', '0200', 'is empty'],
    ['negative', '0201ff', 'is negative'],
    ['leading zeros', '02020001', 'has leading zeros'],
    ['21 bytes', `021500${'ff'.repeat(20)}`, 'is longer than 20 bytes'],
    ['another type', '040101', 'no serial number at byte 0'],
  ])('refuses one that is %s', (_name, hex, message) => {
    const der = Buffer.from(hex, 'hex');
    const read = () => readInteger(readElement(der, 0, der.length), 'serial number');
    expect(read).toThrow(MalformedDer);
    expect(read).toThrow(message);
  });
});
