/** DER, times and PEM: what must be refused; the good cases are in every other test here. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createNode, createOid, writeDer } from '../../src/pki/asn1.ts';
import {
  Children,
  contextTag,
  MalformedDer,
  readBitString,
  readBoolean,
  readElement,
  readOid,
  readWhole,
  TAG,
} from '../../src/pki/der.ts';
import { type PemKind, readDer, readPemBlocks, writePem } from '../../src/pki/pem.ts';
import { createTime, readTime } from '../../src/pki/time.ts';
import { openFolder, refusalOf } from './tools.ts';

const folder = openFolder();
const element = (hex: string) => {
  const der = Buffer.from(hex, 'hex');
  return readElement(der, 0, der.length);
};

describe('DER', () => {
  it.each([
    ['nothing', '', 'ends early'],
    ['a tag alone', '30', 'ends early'],
    ['contents cut off', '3003010100'.slice(0, 8), 'ends early'],
    ['an indefinite length', '30800000', 'impossible length'],
    ['a length of five bytes', '30850000000001', 'impossible length'],
    ['a length cut off', '3082', 'not in DER'],
    ['a long length for a short one', '30810100', 'not in DER'],
    ['a length with leading zeros', `308200ff${'00'.repeat(255)}`, 'not in DER'],
    ['a length beyond the end', '3084ffffffff', 'ends early'],
    ['a tag of several bytes', '1f810100', 'unknown tag'],
    ['bytes that follow', '300000', 'bytes follow the thing'],
    ['another type', '0500', 'no thing at byte 0'],
  ])('refuses %s', (_name, hex, message) => {
    const read = () => readWhole(Buffer.from(hex, 'hex'), TAG.sequence, 'thing');
    expect(read).toThrow(MalformedDer);
    expect(read).toThrow(message);
  });

  it.each([
    ['a child beyond its parent', '300304020100', 'ends early'],
    ['a header beyond its parent', '3001040100', 'ends early'],
    ['a child that is missing', '3000', 'no child at byte 2'],
  ])('refuses %s', (_name, hex, message) => {
    expect(() => new Children(element(hex)).next('child')).toThrow(message);
  });

  it.each([
    ['true as 1', '010101', readBoolean],
    ['an empty boolean', '0100', readBoolean],
    ['an empty OID', '0600', readOid],
    ['an OID that goes on', '06022a86', readOid],
    ['an OID with leading zeros', '06032a8001', readOid],
    ['an OID of 65 bytes', `0641${'2a'.repeat(65)}`, readOid],
    ['unused bits in a key', '03020101', readBitString],
    ['an empty bit string', '0300', readBitString],
  ])('refuses %s', (_name, hex, read) => {
    expect(() => read(element(hex))).toThrow(MalformedDer);
  });

  it.each(['1.2.840.10045.4.3.2', '2.5.29.37.0', '0.9.2342.19200300.100.1.25', '2.999.3'])(
    'reads and writes the OID %s as openssl does',
    (oid) => {
      folder.run('openssl', 'asn1parse', '-genstr', `OID:${oid}`, '-noout', '-out', 'oid.der');
      const der = folder.read('oid.der');
      expect(readOid(readElement(der, 0, der.length))).toBe(oid);
      expect(Buffer.from(writeDer(createOid(oid)))).toEqual(der);
    },
  );

  // Found by the properties: forge took the numbers 2 and 30 for INTEGER and BMPString.
  it.each([
    [2, '0001'],
    [2, 'ffff'],
    [30, '5a'],
  ])('writes the contents of a [%d] as they are: %s', (number, hex) => {
    const text = `IMPLICIT:${number}C,FORMAT:HEX,OCTETSTRING:${hex}`;
    folder.run('openssl', 'asn1parse', '-genstr', text, '-noout', '-out', 'tag.der');
    const node = createNode(contextTag(number, false), Buffer.from(hex, 'hex'));
    expect(Buffer.from(writeDer(node))).toEqual(folder.read('tag.der'));
  });

  it('keeps arcs beyond 2^53 exact', () => {
    const oid = '2.25.329800735698586629295641978511506172918';
    folder.run('openssl', 'asn1parse', '-genstr', `OID:${oid}`, '-noout', '-out', 'big.der');
    const der = folder.read('big.der');
    expect(readOid(readElement(der, 0, der.length))).toBe(oid);
  });
});

describe('times', () => {
  it.each([
    ['1950-01-01T00:00:00Z', 'UTCTIME:500101000000Z'],
    ['1999-12-31T23:59:59Z', 'UTCTIME:991231235959Z'],
    ['2026-02-28T12:00:00Z', 'UTCTIME:260228120000Z'],
    ['2049-12-31T23:59:59Z', 'UTCTIME:491231235959Z'],
    ['2050-01-01T00:00:00Z', 'GENTIME:20500101000000Z'],
    ['9999-12-31T23:59:59Z', 'GENTIME:99991231235959Z'],
  ])('writes and reads %s as RFC 5280 has it', (iso, text) => {
    folder.run('openssl', 'asn1parse', '-genstr', text, '-noout', '-out', 'time.der');
    const der = folder.read('time.der');
    expect(Buffer.from(writeDer(createTime(new Date(iso))))).toEqual(der);
    expect(readTime(readElement(der, 0, der.length))).toEqual(new Date(iso));
  });

  it.each([
    ['before 1950', new Date('1949-12-31T23:59:59Z')],
    ['after 9999', new Date('+010000-01-01T00:00:00Z')],
    ['no time', new Date(Number.NaN)],
  ])('refuses to write a date %s', (_name, time) => {
    expect(refusalOf(() => createTime(time))).toMatch(/^INPUT_INVALID: .*1950 to 9999/);
  });

  it.each([
    ['31 June', TAG.utcTime, '260631000000Z'],
    ['29 February of a common year', TAG.utcTime, '260229000000Z'],
    ['month 0', TAG.utcTime, '260001000000Z'],
    ['month 13', TAG.utcTime, '261301000000Z'],
    ['hour 24', TAG.utcTime, '260601240000Z'],
    ['second 60', TAG.utcTime, '260601000060Z'],
    ['no seconds', TAG.utcTime, '2606010000Z'],
    ['an offset', TAG.utcTime, '260601000000+0100'],
    ['a fraction', TAG.generalizedTime, '20260601000000.5Z'],
    ['a short year', TAG.generalizedTime, '260601000000Z'],
    ['the year 26', TAG.generalizedTime, '00260601000000Z'],
    ['a long year in UTCTime', TAG.utcTime, '20260601000000Z'],
    ['another type', TAG.utf8String, '260601000000Z'],
    ['letters', TAG.utcTime, 'yymmddhhmmssZ'],
  ])('refuses to read %s', (_name, tag, text) => {
    const der = Buffer.concat([Buffer.from([tag, text.length]), Buffer.from(text)]);
    expect(() => readTime(readElement(der, 0, der.length))).toThrow(MalformedDer);
  });
});

describe('PEM', () => {
  const kind: PemKind = {
    labels: ['THING'],
    maxBytes: 1000,
    what: 'thing',
    code: 'INPUT_INVALID',
  };
  const good = writePem('THING', Buffer.from('3000', 'hex'));

  it('reads what it wrote, in lines of 64 characters', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (bytes) => {
        const pem = writePem('THING', bytes);
        expect(Buffer.from(readDer(pem, kind))).toEqual(Buffer.from(bytes));
        expect(Math.max(...pem.split('\n').map((line) => line.length))).toBeLessThanOrEqual(64);
      }),
    );
  });

  it('passes over other blocks, text around, carriage returns, and takes bytes', () => {
    const other = writePem('OTHER', Buffer.from('3000', 'hex'));
    const text = `Thing:\r\n${other}${good}bye`.replaceAll('\n', '\r\n');
    expect(Buffer.from(readDer(Buffer.from(text), kind)).toString('hex')).toBe('3000');
    expect(readPemBlocks(good + other + good, kind)).toHaveLength(2);
  });

  it.each([
    ['nothing', '', 'No thing found'],
    ['text', 'hello', 'No thing found'],
    ['another block', writePem('OTHER', Buffer.from('3000', 'hex')), 'No thing found'],
    ['two blocks', good + good, '2 found'],
    ['no end', good.slice(0, -10), 'has no end'],
    ['a header only', '-----BEGIN THING', 'has no end'],
    ['an end of another label', good.replace('END THING', 'END OTHER'), 'has no end'],
    ['not base64', good.replace('MAA=', 'M*A='), 'not base64'],
    ['base64 cut off', good.replace('MAA=', 'MAA'), 'not base64'],
    ['an empty block', good.replace('MAA=', ''), 'not base64'],
    ['too much', writePem('THING', Buffer.alloc(1001)), 'larger than 1000 bytes'],
    ['far too much', good + 'x'.repeat(5000), 'larger than 1000 bytes'],
    ['a thousand beginnings', '-----BEGIN THING-----'.repeat(50), 'has no end'],
  ])('refuses %s', (_name, pem, message) => {
    expect(refusalOf(() => readDer(pem, kind))).toContain(`INPUT_INVALID: `);
    expect(refusalOf(() => readDer(pem, kind))).toContain(message);
  });
});
