/** The same signed part under other octets of its signature: what a bearer can do without the key. */
import type { Random } from './random.ts';
import { copyTree, readTree, type Tree, writeTree } from './tree.ts';

/** Orders of P-256 and P-384 by the length of what they sign with: SEC 2. */
const ORDERS: readonly bigint[] = [
  0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
];
/** Of Ed25519. */
const EDWARDS_ORDER = 2n ** 252n + 27742317777372353535851937790883648493n;

const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x0${Buffer.from(bytes).toString('hex')}`);

/** Contents of an INTEGER. */
function toInteger(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes;
}

/** s becomes n - s: the other signature of the same bytes, as good as the first. */
function mirror(s: Tree): void {
  const value = toNumber(s.content as Uint8Array);
  s.content = toInteger(orderFor(value) - value);
}

const orderFor = (value: bigint): bigint => ORDERS[value.toString(16).length > 64 ? 1 : 0] ?? 0n;

const childrenOf = (tree: Tree | undefined): Tree[] =>
  tree === undefined || tree.content instanceof Uint8Array ? [] : tree.content;

/** A certificate signed with ECDSA, under the other of its two signatures. */
export function mirrorSignature(der: Uint8Array): Buffer {
  const tree = readTree(der);
  const [, , signature] = childrenOf(tree);
  const [pair] = childrenOf(signature);
  const [, s] = childrenOf(pair);
  if (s === undefined) throw new Error('there is no ECDSA signature');
  mirror(s);
  return writeTree(tree);
}

/** r and s of an ECDSA signature. */
function bendPair(random: Random, pair: Tree): void {
  const [r, s] = pair.content as Tree[];
  if (r === undefined || s === undefined) return;
  const value = toNumber(s.content as Uint8Array);
  switch (random.below(6)) {
    case 0:
      mirror(s);
      break;
    case 1:
      s.content = toInteger(value + orderFor(value));
      break;
    case 2:
      s.content = Buffer.concat([Buffer.of(0), s.content as Uint8Array]);
      break;
    case 3:
      r.content = Buffer.of(0);
      break;
    case 4:
      pair.content = [r, s, copyTree(s)];
      break;
    default:
      s.length = Buffer.of(0x81, (s.content as Uint8Array).length);
  }
}

/** Little-endian in the second half: RFC 8032. */
function bendEdwards(content: Uint8Array): Buffer {
  const s = Buffer.from(content.subarray(33)).reverse();
  const larger = (toNumber(s) + EDWARDS_ORDER).toString(16).padStart(64, '0');
  return Buffer.concat([content.subarray(0, 33), Buffer.from(larger, 'hex').reverse()]);
}

export function bendSignature(random: Random, start: Tree): Buffer {
  const tree = copyTree(start);
  const [, algorithm, signature] = tree.content as Tree[];
  if (algorithm === undefined || signature === undefined) return writeTree(tree);
  if (random.once(8)) {
    // The outer of the two identifiers, with what RFC 4055 and RFC 5758 leave open.
    const children = algorithm.content as Tree[];
    const nothing: Tree = { tag: 0x05, prefix: new Uint8Array(0), content: new Uint8Array(0) };
    if (children.length > 1) children.pop();
    else children.push(nothing);
  } else if (!(signature.content instanceof Uint8Array)) {
    const [pair] = signature.content;
    if (random.once(8)) signature.prefix = Buffer.of(random.below(8));
    else if (pair !== undefined) bendPair(random, pair);
  } else if (signature.content.length === 65) signature.content = bendEdwards(signature.content);
  else signature.content = Buffer.concat([Buffer.of(0, 0), signature.content.subarray(1)]);
  return writeTree(tree);
}
