/**
 * Writes DER: nodes are node-forge's, this file is the only one that knows it. Ready-made DER can
 * be grafted in, so that names and keys are repeated byte for byte. Source of truth: X.690. Floor 1.
 */
import forge from 'node-forge';
import { contextTag, TAG } from './der.ts';

const { asn1 } = forge;

/** A piece of DER not yet written. */
export type Node = forge.asn1.Asn1;

/** forge keeps bytes as a string of characters 0 to 255. */
const toBinary = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');

/** @param tag identifier octet. `value` is the contents or, for a constructed node, its children. */
export function createNode(tag: number, value: Uint8Array | string | Node[]): Node {
  const content = value instanceof Uint8Array ? toBinary(value) : value;
  // The whole octet travels as the class: forge rewrites the contents of what has the type 2 or 30,
  // a [2] included, and sets the constructed bit only over children, though contents that are DER
  // already go under a constructed tag as they stand.
  return asn1.create(tag, 0, Array.isArray(value), content);
}

export const createSequence = (...children: Node[]): Node => createNode(TAG.sequence, children);

export const createSet = (...children: Node[]): Node => createNode(TAG.set, children);

export const createOid = (dotted: string): Node =>
  createNode(TAG.oid, asn1.oidToDer(dotted).getBytes());

export const createBoolean = (value: boolean): Node =>
  createNode(TAG.boolean, value ? '\xff' : '\x00');

export const createNull = (): Node => createNode(TAG.null, '');

export const createOctetString = (bytes: Uint8Array): Node => createNode(TAG.octetString, bytes);

/** A bit string of whole bytes. */
export const createBitString = (bytes: Uint8Array): Node =>
  createNode(TAG.bitString, `\x00${toBinary(bytes)}`);

/** `[number] EXPLICIT`. */
export const createExplicit = (number: number, child: Node): Node =>
  createNode(contextTag(number, true), [child]);

/** One element of DER, grafted in as it stands. */
export function graftDer(der: Uint8Array): Node {
  const lengthBytes = der[1] ?? 0;
  const header = lengthBytes < 0x80 ? 2 : 2 + (lengthBytes & 0x7f);
  return createNode(der[0] ?? 0, der.subarray(header));
}

export const writeDer = (node: Node): Uint8Array =>
  Buffer.from(asn1.toDer(node).getBytes(), 'latin1');
