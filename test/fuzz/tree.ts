/**
 * DER as a tree that can be bent: lengths follow from the contents when it is written, except where
 * a mutation put something else in their place. Contents of octet and bit strings that are DER
 * themselves are part of the tree.
 */

export interface Tree {
  tag: number;
  /** Written in front of children: the unused bits of a bit string. */
  prefix: Uint8Array;
  content: Uint8Array | Tree[];
  /** Length octets instead of the true ones. */
  length?: Uint8Array;
}

const OCTET_STRING = 0x04;
const BIT_STRING = 0x03;
const NONE = new Uint8Array(0);

/** The elements that fill the bytes exactly; undefined where they do not. */
function readAll(bytes: Uint8Array): Tree[] | undefined {
  const found: Tree[] = [];
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at] ?? 0;
    let length = bytes[at + 1] ?? 0x80;
    let body = at + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 3) return undefined;
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[body + i] ?? 0);
      body += count;
    }
    if ((tag & 0x1f) === 0x1f || body + length > bytes.length) return undefined;
    found.push(createTree(tag, bytes.subarray(body, body + length)));
    at = body + length;
  }
  return found;
}

function createTree(tag: number, bytes: Uint8Array): Tree {
  const leaf: Tree = { tag, prefix: NONE, content: bytes };
  const skipped = tag === BIT_STRING && bytes[0] === 0 ? 1 : 0;
  const mayNest = (tag & 0x20) !== 0 || tag === OCTET_STRING || skipped > 0;
  const inside = bytes.subarray(skipped);
  const children = mayNest ? readAll(inside) : undefined;
  // An empty string, or text that happens to look like DER, is a leaf.
  if (children === undefined || ((tag & 0x20) === 0 && inside[0] !== 0x30)) return leaf;
  return { tag, prefix: bytes.subarray(0, skipped), content: children };
}

/** Of bytes that are one element. */
export function readTree(der: Uint8Array): Tree {
  const [tree] = readAll(der) ?? [];
  if (tree === undefined) throw new Error('the corpus holds something that is not DER');
  return tree;
}

export function copyTree(tree: Tree): Tree {
  const { content } = tree;
  return { ...tree, content: content instanceof Uint8Array ? content : content.map(copyTree) };
}

export function writeLength(length: number, least = 0): Uint8Array {
  if (length < 0x80 && least === 0) return Uint8Array.of(length);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  while (bytes.length < least) bytes.unshift(0);
  return Uint8Array.of(0x80 | bytes.length, ...bytes);
}

/** Writes from the end, so that each length is known when its turn comes, and depth costs nothing. */
export function writeTree(tree: Tree): Buffer {
  let buffer = Buffer.alloc(4096);
  let at = buffer.length;
  const put = (bytes: Uint8Array): void => {
    if (bytes.length > at) {
      const larger = Buffer.alloc((buffer.length + bytes.length) * 2);
      const moved = larger.length - buffer.length;
      buffer.copy(larger, at + moved, at);
      at += moved;
      buffer = larger;
    }
    at -= bytes.length;
    buffer.set(bytes, at);
  };
  const write = ({ tag, prefix, content, length }: Tree): void => {
    const end = buffer.length - at;
    if (content instanceof Uint8Array) put(content);
    else for (let i = content.length - 1; i >= 0; i--) write(content[i] as Tree);
    if (!(content instanceof Uint8Array)) put(prefix);
    put(length ?? writeLength(buffer.length - at - end));
    put(Uint8Array.of(tag));
  };
  write(tree);
  return buffer.subarray(at);
}

export interface Place {
  node: Tree;
  /** Its parent's children; undefined for the root. */
  siblings: Tree[] | undefined;
}

export function listPlaces(tree: Tree): Place[] {
  const places: Place[] = [{ node: tree, siblings: undefined }];
  // The list grows while it is walked.
  for (const { node } of places) {
    const { content } = node;
    if (content instanceof Uint8Array) continue;
    for (const child of content) places.push({ node: child, siblings: content });
  }
  return places;
}
