/** The ways in which what is right is made wrong: in the tree, in the bytes, in the PEM text. */
import type { Random } from './random.ts';
import { copyTree, listPlaces, type Tree, writeLength, writeTree } from './tree.ts';

/** Larger than every limit of a certificate, small enough for a million of them. */
const MAX_BYTES = 150_000;
/** What has more is not bent further. */
const MAX_NODES = 2000;
const TAGS = [
  ...[0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c, 0x12, 0x13, 0x14, 0x16, 0x17, 0x18, 0x1c],
  ...[0x1e, 0x1f, 0x30, 0x31, 0x00, 0x24, 0x23, 0x2c, 0x80, 0x81, 0x82, 0x86, 0x87, 0xa0, 0xa1],
  ...[0xa2, 0xa3, 0xa4, 0xbf, 0xff],
];
const TEXT_TAGS = [0x0c, 0x12, 0x13, 0x14, 0x15, 0x16, 0x19, 0x1a, 0x1b, 0x1c, 0x1e];
const LENGTHS = [
  '80',
  'ff',
  '8400000000',
  '84ffffffff',
  '847fffffff',
  '850000000001',
  '88ffffffffffffffff',
  '8200ff',
  '00',
  '01',
  '7f',
];
const CONTENTS = [
  '',
  '00',
  '01',
  '7f',
  '80',
  'ff',
  '0000',
  '0001',
  'ffff',
  '0080',
  '00ff',
  '8001',
  `00${'ff'.repeat(20)}`,
  'ff'.repeat(20),
  '7f'.repeat(21),
  '00'.repeat(40),
];
const TEXTS = [
  '',
  'a\0b',
  'a\nb',
  '\ud800',
  '\u202e',
  'ä',
  '🦊',
  'x'.repeat(1000),
  '%s%n',
  '260631000000Z',
  '20260101000000Z',
  '260101000000+0100',
  '00000101000000Z',
  '99991231235959Z',
  '491231235959Z',
  '2601010000Z',
  '2026010100000',
  'urn:x',
  '*.',
  '__proto__',
  'constructor',
];

type TreeMutation = (random: Random, tree: Tree, others: readonly Tree[]) => void;

/** A node, with its siblings where it has some. */
function choose(random: Random, tree: Tree): { node: Tree; siblings: Tree[]; at: number } {
  const { node, siblings } = random.pick(listPlaces(tree));
  return { node, siblings: siblings ?? [node], at: siblings?.indexOf(node) ?? 0 };
}

function makeContent(random: Random): Buffer {
  switch (random.below(5)) {
    case 0:
      return Buffer.from(random.pick(CONTENTS), 'hex');
    case 1:
      return Buffer.from(random.pick(TEXTS), random.pick(['utf8', 'latin1', 'utf16le']));
    case 2:
      return Buffer.alloc(
        random.pick([19, 20, 21, 63, 64, 65, 127, 128, 255, 256, 5000]),
        random.below(256),
      );
    case 3:
      // An arc of an OID, or an integer, that does not end.
      return Buffer.concat([
        Buffer.of(0x2a),
        Buffer.alloc(random.below(200), 0x81 + random.below(127)),
        Buffer.of(random.below(256)),
      ]);
    default:
      return random.bytes(random.below(40));
  }
}

const nest = (node: Tree, depth: number, tag: number): Tree => {
  let nested = node;
  for (let i = 0; i < depth; i++) nested = { tag, prefix: new Uint8Array(0), content: [nested] };
  return nested;
};

/** The last thing done to a tree: what stands there a thousand times is not repeated once more. */
const repeat: TreeMutation = (random, tree) => {
  if (!random.once(4)) return;
  const { node, siblings, at } = choose(random, tree);
  const size = writeTree(node).length;
  const times = random.below(
    Math.max(1, Math.floor(random.pick([2000, 20_000, MAX_BYTES]) / size)),
  );
  siblings.splice(at, 0, ...new Array<Tree>(times).fill(node));
};

const TREE_MUTATIONS: readonly TreeMutation[] = [
  (random, tree) => {
    choose(random, tree).node.content = makeContent(random);
  },
  (random, tree) => {
    // The bytes of a leaf, one of them another.
    const { node } = choose(random, tree);
    if (!(node.content instanceof Uint8Array) || node.content.length === 0) return;
    const content = Buffer.from(node.content);
    content.writeUInt8(random.below(256), random.below(content.length));
    node.content = content;
  },
  (random, tree) => {
    choose(random, tree).node.tag = random.once(4) ? random.below(256) : random.pick(TAGS);
  },
  (random, tree) => {
    // A text of another type, perhaps another text.
    const texts = listPlaces(tree).filter(({ node }) => TEXT_TAGS.includes(node.tag));
    if (texts.length === 0) return;
    const { node } = random.pick(texts);
    node.tag = random.pick(TEXT_TAGS);
    if (random.once(2)) node.content = random.once(2) ? random.bytes(6) : makeContent(random);
  },
  (random, tree) => {
    const { siblings, at } = choose(random, tree);
    siblings.splice(at, 1);
  },
  (random, tree) => {
    const { node, siblings, at } = choose(random, tree);
    siblings.splice(at, 0, copyTree(node));
  },
  (random, tree) => {
    const { node, siblings, at } = choose(random, tree);
    siblings.splice(at, 1);
    siblings.splice(random.below(siblings.length + 1), 0, node);
  },
  (random, tree, others) => {
    const { siblings, at } = choose(random, tree);
    const other = choose(random, random.pick(others)).node;
    siblings.splice(at, random.below(2), copyTree(other));
  },
  (random, tree) => {
    const { node } = choose(random, tree);
    node.length = Buffer.from(random.pick(LENGTHS), 'hex');
  },
  (random, tree) => {
    // The true length, in more octets than it needs, or one off.
    const { node } = choose(random, tree);
    const { length } = writeTree({ ...node, tag: 0 });
    const off = random.pick([0, 0, 1, -1]);
    const header = length < 0x82 ? 2 : length < 0x103 ? 3 : 4;
    node.length = writeLength(Math.max(0, length - header + off), random.below(4));
  },
  (random, tree) => {
    // Indefinite, with its end of contents.
    const { node } = choose(random, tree);
    node.length = Buffer.of(0x80);
    const end: Tree = { tag: 0, prefix: new Uint8Array(0), content: new Uint8Array(0) };
    if (!(node.content instanceof Uint8Array)) node.content.push(end);
  },
  (random, tree) => {
    const { node, siblings, at } = choose(random, tree);
    const depth = random.once(10) ? 1 + random.below(800) : 1 + random.below(4);
    siblings[at] = nest(node, depth, random.pick([0x30, 0x31, 0xa0, 0xa3, 0x24]));
  },
  repeat,
];

export function bendTree(random: Random, start: Tree, others: readonly Tree[]): Tree {
  const tree = copyTree(start);
  for (let left = 1 + random.below(3); left > 0; left--) {
    const mutation = random.pick(TREE_MUTATIONS);
    mutation(random, tree, others);
    if (mutation === repeat || listPlaces(tree).length > MAX_NODES) break;
  }
  return tree;
}

/** Flips, cuts, insertions, repetitions, a piece of something else. */
export function bendBytes(
  random: Random,
  start: Uint8Array,
  others: readonly Uint8Array[],
): Buffer {
  let bytes = Buffer.from(start);
  const piece = (from: Uint8Array): Uint8Array => {
    const at = random.below(from.length);
    return from.subarray(at, at + 1 + random.below(60));
  };
  for (let left = 1 + random.below(4); left > 0 && bytes.length > 0; left--) {
    const at = random.below(bytes.length);
    const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
    switch (random.below(7)) {
      case 0:
      case 1:
        bytes.writeUInt8((bytes[at] ?? 0) ^ (1 << random.below(8)), at);
        break;
      case 2:
        bytes.writeUInt8(random.pick([0, 1, 0x7f, 0x80, 0x81, 0xff, random.below(256)]), at);
        break;
      case 3:
        bytes = Buffer.from(random.once(2) ? head : tail);
        break;
      case 4:
        bytes = Buffer.concat([head, random.bytes(1 + random.below(20)), tail]);
        break;
      case 5:
        bytes = Buffer.concat([head, tail.subarray(1 + random.below(30))]);
        break;
      default:
        bytes = Buffer.concat([head, piece(random.once(2) ? bytes : random.pick(others)), tail]);
    }
  }
  return bytes;
}

export const makeNoise = (random: Random): Buffer => {
  const noise = random.bytes(random.below(300));
  return random.once(2)
    ? noise
    : Buffer.concat([Buffer.of(0x30), writeLength(noise.length), noise]);
};

const SNIPPETS = [
  '-----BEGIN CERTIFICATE-----',
  '-----END CERTIFICATE-----',
  '-----BEGIN ',
  '-----',
  '-',
  '\n',
  '\r\n',
  '\0',
  '=',
  '====',
  'MAA=',
  ' ',
  '\t',
  'é',
  '\u2028',
  'X509 CRL',
  'Proc-Type: 4,ENCRYPTED\n\n',
  '*',
  'x'.repeat(100),
];

/** Text of one to three blocks, damaged. */
export function bendPem(random: Random, blocks: readonly string[]): string {
  let text = Array.from({ length: 1 + random.below(3) }, () => random.pick(blocks)).join('');
  for (let left = random.below(5); left > 0; left--) {
    const at = random.once(2)
      ? random.below(text.length + 1)
      : Math.max(0, text.indexOf('-----', random.below(text.length + 1)));
    const [head, tail] = [text.slice(0, at), text.slice(at)];
    switch (random.below(6)) {
      case 0:
        text = head + tail.slice(1 + random.below(8));
        break;
      case 1:
        text = head;
        break;
      case 2:
        text = tail;
        break;
      case 3:
        text =
          head + String.fromCharCode(random.below(random.once(8) ? 65_536 : 128)) + tail.slice(1);
        break;
      case 4:
        text = head + random.pick(SNIPPETS).repeat(random.once(50) ? random.below(2000) : 1) + tail;
        break;
      default:
        text = random.once(2)
          ? text.replaceAll('\n', random.pick(['\r\n', '', ' ', '\n\n']))
          : head + head + tail;
    }
  }
  return text.slice(0, 300_000);
}
