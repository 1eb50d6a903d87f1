/** The ways in which a text or an archive is made wrong: bytes, lines, pieces of others, odd words. */
import type { Random } from './random.ts';

const MAX_BYTES = 64 * 1024;

/** What readers of text stumble over. */
const WORDS = [
  ...['\n', '\n\n', '\r\n', '\r', '\0', ' ', '\t', '\x0b', '\x0c', '\xa0', '\xff', '\x85', '.'],
  ...[':', '::', ',', '|', '(', ')', '(>= 1)', '~', '+', '-', '%', '%2e%2e', '%00', '%0a', '%2f'],
  ...['/', '//', '..', '../', '/../', '\\', '-1', '0', '00', '1e3', '0x10', '+1', '9'.repeat(20)],
  ...['2147483648', '18446744073709551616', '4294967295:1', 'Package: other\n', '\n .\n', '\n \n'],
  ...['\nFilename: pool/x\n', '\nSHA256: 0\n', '-----BEGIN PGP SIGNED MESSAGE-----\n', 'bytes='],
  ...['bytes=0-', 'bytes=-0', 'bytes=-1', ',', 'é', '日本', '\ufeff', '\ud800', '\u2028', '`\n'],
];

function cutOut(random: Random, bytes: Buffer): [number, number] {
  const start = random.below(bytes.length + 1);
  const length = random.once(3) ? random.below(bytes.length - start + 1) : random.below(8);
  return [start, Math.min(start + length, bytes.length)];
}

function bendOnce(random: Random, bytes: Buffer, others: readonly Buffer[]): Buffer {
  const [start, end] = cutOut(random, bytes);
  const [before, after] = [bytes.subarray(0, start), bytes.subarray(end)];
  switch (random.below(8)) {
    case 0:
      return Buffer.concat([before, after]);
    case 1: {
      if (bytes.length === 0) return bytes;
      const changed = Buffer.from(bytes);
      changed[random.below(bytes.length)] = random.below(256);
      return changed;
    }
    case 2:
      return Buffer.concat([before, Buffer.from(random.pick(WORDS)), bytes.subarray(start)]);
    case 3:
      return Buffer.concat([before, Buffer.from(random.pick(WORDS), 'latin1'), after]);
    case 4:
      return Buffer.concat([before, bytes.subarray(start, end), bytes.subarray(start)]);
    case 5: {
      const other = random.pick(others);
      const [from, to] = cutOut(random, other);
      return Buffer.concat([before, other.subarray(from, to), after]);
    }
    case 6: {
      const lines = bytes.toString('latin1').split('\n');
      const [one, two] = [random.below(lines.length), random.below(lines.length)];
      [lines[one], lines[two]] = [lines[two] ?? '', lines[one] ?? ''];
      return Buffer.from(lines.join('\n'), 'latin1');
    }
    default:
      return Buffer.concat([before, random.bytes(random.below(6)), after]);
  }
}

/** One of them, changed a few times; once in a while as it is, or nothing but noise. */
export function bend(random: Random, originals: readonly Buffer[]): Buffer {
  if (random.once(50)) return random.bytes(random.below(80));
  let bytes = random.pick(originals);
  if (random.once(30)) return bytes;
  for (let times = 1 + random.below(4); times > 0; times -= 1) {
    bytes = bendOnce(random, bytes, originals);
  }
  return bytes.subarray(0, MAX_BYTES);
}
