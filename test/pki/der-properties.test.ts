/** DER of any shape: written, read back, and told by `openssl asn1parse` as we read it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createBoolean,
  createNode,
  createNull,
  createOctetString,
  createOid,
  createSequence,
  type Node,
  writeDer,
} from '../../src/pki/asn1.ts';
import {
  bodyOf,
  Children,
  contextTag,
  type Element,
  readBoolean,
  readElement,
  readOid,
  readWhole,
  TAG,
} from '../../src/pki/der.ts';
import { createInteger, readInteger } from '../../src/pki/serial.ts';
import { openFolder } from './tools.ts';

const folder = openFolder();

interface Line {
  depth: number;
  start: number;
  header: number;
  length: number;
  constructed: boolean;
}

/** What openssl makes of it, a line an element, in order; `value` is what it prints last. */
function parse(der: Uint8Array): (Line & { value: string })[] {
  folder.write('some.der', der);
  const text = folder.run('openssl', 'asn1parse', '-inform', 'DER', '-in', 'some.der');
  const line = /^ *(\d+):d=(\d+) +hl=(\d+) l= *(\d+) (prim|cons): .*?(?::([^:]*))?$/gm;
  return [...text.matchAll(line)].map(([, start, depth, header, length, kind, value = '']) => ({
    depth: Number(depth),
    start: Number(start),
    header: Number(header),
    length: Number(length),
    constructed: kind === 'cons',
    value,
  }));
}

const isConstructed = (element: Element): boolean => (element.tag & 0x20) !== 0;

/** The same, as we read it. */
function walk(element: Element, depth = 0): Line[] {
  const { start, body, end } = element;
  const constructed = isConstructed(element);
  const lines = [{ depth, start, header: body - start, length: end - body, constructed }];
  if (!constructed) return lines;
  const children = new Children(element);
  while (!children.done) lines.push(...walk(children.next('child'), depth + 1));
  return lines;
}

const readAny = (der: Uint8Array): Element => {
  const element = readElement(der, 0, der.length);
  expect(element.end).toBe(der.length);
  return element;
};

/** A value, and how it is written. */
type Tree = { tag: number; content: Uint8Array | Tree[] };
const writeTree = ({ tag, content }: Tree): Node =>
  createNode(tag, content instanceof Uint8Array ? content : content.map(writeTree));
const readTree = (element: Element): Tree => {
  if (!isConstructed(element))
    return { tag: element.tag, content: Uint8Array.from(bodyOf(element)) };
  const content: Tree[] = [];
  const children = new Children(element);
  while (!children.done) content.push(readTree(children.next('child')));
  return { tag: element.tag, content };
};

const { tree } = fc.letrec<{ tree: Tree; leaf: Tree; branch: Tree }>((tie) => ({
  tree: fc.oneof({ maxDepth: 6, depthSize: 'medium' }, tie('leaf'), tie('branch')),
  leaf: fc.record({
    tag: fc.constantFrom(
      TAG.octetString,
      TAG.utf8String,
      contextTag(0, false),
      contextTag(2, false),
      contextTag(30, false),
    ),
    content: fc.uint8Array({ maxLength: 300 }),
  }),
  branch: fc.record({
    tag: fc.constantFrom(TAG.sequence, TAG.set, contextTag(0, true), contextTag(30, true)),
    content: fc.array(tie('tree'), { maxLength: 5 }),
  }),
}));

describe('elements of any shape', () => {
  it('are read back', () => {
    fc.assert(
      fc.property(tree, (wanted) => {
        const der = writeDer(writeTree(wanted));
        expect(readTree(readAny(der))).toEqual(wanted);
      }),
    );
  });

  it('stand where openssl finds them', () => {
    fc.assert(
      fc.property(tree, (wanted) => {
        const der = writeDer(writeTree(wanted));
        expect(parse(der).map(({ value: _, ...line }) => line)).toEqual(walk(readAny(der)));
      }),
      { numRuns: 25 },
    );
  });

  it('go as deep as openssl follows, and further', () => {
    const nest = (depth: number): Uint8Array => {
      let node = createNull();
      for (let i = 0; i < depth; i++) node = createSequence(node);
      return writeDer(node);
    };
    const der = nest(100);
    expect(parse(der).map(({ value: _, ...line }) => line)).toEqual(walk(readAny(der)));
    let element = readAny(nest(2000));
    while (element.tag === TAG.sequence) element = new Children(element).next('child');
    expect(element.tag).toBe(TAG.null);
  });
});

describe('lengths', () => {
  it.each([
    0,
    1,
    126,
    127,
    128,
    129,
    254,
    255,
    256,
    257,
    65_534,
    65_535,
    65_536,
    2 ** 24 - 1,
    2 ** 24,
  ])('of %d bytes are written and read as openssl does', (length) => {
    const content = Buffer.alloc(length, 0x5a);
    const der = writeDer(createOctetString(content));
    const element = readWhole(der, TAG.octetString, 'octets');
    expect(Buffer.compare(bodyOf(element), content)).toBe(0);
    expect(parse(der)[0]).toMatchObject({ length, header: element.body });
    for (const cut of [1, element.body, der.length - 1]) {
      if (cut >= der.length) continue;
      expect(() => readElement(der, 0, cut)).toThrow('ends early');
    }
  });
});

describe('values', () => {
  const arc = fc.bigInt(0n, 2n ** 31n - 1n);
  const oid = fc
    .oneof(
      fc.tuple(fc.constantFrom(0n, 1n), fc.bigInt(0n, 39n)),
      fc.tuple(fc.constant(2n), fc.oneof(fc.bigInt(0n, 200n), fc.bigInt(0n, 2n ** 24n))),
    )
    .chain(([root, second]) =>
      fc
        .array(arc, { minLength: 1, maxLength: 8 })
        .map((rest) => [root, second, ...rest].join('.')),
    );

  it('that are OIDs are read back, and are what openssl prints', () => {
    fc.assert(
      fc.property(fc.array(oid, { minLength: 1, maxLength: 60 }), (oids) => {
        const der = writeDer(createSequence(...oids.map(createOid)));
        const list = new Children(readAny(der));
        expect(oids.map(() => readOid(list.next('oid')))).toEqual(oids);
        const printed = parse(der).slice(1);
        // Those that openssl knows are printed by name.
        const told = printed.map(({ value }, at) => (/^[\d.]+$/.test(value) ? value : oids[at]));
        expect(told).toEqual(oids);
      }),
      { numRuns: 20 },
    );
  });

  it('that are integers are read back, and are what openssl prints', () => {
    const integer = fc.oneof(fc.bigInt(0n, 2n ** 159n - 1n), fc.bigInt(0n, 70_000n));
    fc.assert(
      fc.property(fc.array(integer, { minLength: 1, maxLength: 100 }), (values) => {
        const spelled = values.map((value) => value.toString(16));
        const der = writeDer(createSequence(...spelled.map(createInteger)));
        const list = new Children(readAny(der));
        expect(spelled.map(() => readInteger(list.next('integer'), 'x'))).toEqual(spelled);
        const printed = parse(der).slice(1);
        expect(printed.map(({ value }) => BigInt(`0x${value}`))).toEqual(values);
      }),
      { numRuns: 20 },
    );
  });

  it('that are booleans are read back', () => {
    for (const value of [true, false]) {
      expect(readBoolean(readAny(writeDer(createBoolean(value))))).toBe(value);
    }
  });
});
