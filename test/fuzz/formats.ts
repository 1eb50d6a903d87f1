/**
 * Fuzzes the readers of Debian's formats and of what stands in a request, with a fixed budget:
 *
 *     node test/fuzz/formats.ts --seed 7 --inputs 50000 --only version
 *
 * Each answers or throws a RefusalError; what is accepted holds what is written beside it; versions
 * are compared with dpkg's own. An input is made from the seed and its number alone. Exit status 1
 * where there is a finding.
 */
import { execFileSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { readPackage, readPlainPackage, verifyData } from '../../src/deb/archive.ts';
import { bytesOf } from '../../src/deb/byte-source.ts';
import { parseChanges } from '../../src/deb/changes.ts';
import { readClearSigned } from '../../src/deb/clear-sign.ts';
import { parseControl, renderStanza } from '../../src/deb/control.ts';
import { parseParagraphs } from '../../src/deb/deb822.ts';
import { parseDsc } from '../../src/deb/dsc.ts';
import { readPackagesIndex, readSourcesIndex } from '../../src/deb/packages-reader.ts';
import { parsePax } from '../../src/deb/pax.ts';
import { readRelease } from '../../src/deb/release-reader.ts';
import { compareVersions, parseVersion } from '../../src/deb/version.ts';
import { RefusalError } from '../../src/errors.ts';
import { parseByHash } from '../../src/http/by-hash.ts';
import { decodePath } from '../../src/http/resources.ts';
import { chooseRange, isUnchanged } from '../../src/http/validators.ts';
import {
  buildAr,
  buildPackage,
  buildTar,
  CONTROL,
  controlMember,
  dataMember,
  paxRecord,
  VERSION_MEMBER,
} from '../deb/build.ts';
import { buildSource, fileOf } from '../deb/build-source.ts';
import { bend } from './bend.ts';
import { createRandom, type Random } from './random.ts';

const INPUTS = 3_000_000;
/** A pair of versions for dpkg, once in so many. */
const COMPARED_EVERY = 20;
const MAX_FINDINGS = 20;

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const tarOf = (...names: string[]): Buffer =>
  buildTar(names.map((name) => ({ name, content: name.endsWith('control') ? CONTROL : 'hello' })));

const FACTS = {
  filename: 'pool/main/s/sample/sample_1.0-1_amd64.deb',
  size: 1,
  sha256: '0'.repeat(64),
};

/** What may be read of one, in `\n`-separated lines of a stanza, without the field it was made for. */
function checkStanza(bytes: Buffer): void {
  const control = parseControl(bytes);
  const stanza = renderStanza(control, FACTS as Parameters<typeof renderStanza>[1]);
  demand(stanza.at(-1) === 0x0a, 'a stanza does not end in a newline');
  const read = stanza.toString('latin1');
  demand(!/\n\s*\n/.test(read) && !read.startsWith('\n'), 'a stanza has an empty line');
  demand(!/[\0\r]/.test(read), 'a stanza has a NUL or a carriage return');
  const lines = read.split('\n').filter((line) => /^(Filename|Size|SHA256):/i.test(line));
  demand(lines.length === 3, `a stanza has ${lines.length} of the fields that we write`);
  const again = parseParagraphs(stanza);
  demand(again.length === 1, 'a stanza is several paragraphs');
  const names = again[0]?.map(({ name }) => name.toLowerCase()) ?? [];
  demand(new Set(names).size === names.length, 'a stanza has a field twice');
}

async function checkArchive(bytes: Buffer): Promise<void> {
  const quick = readPlainPackage(bytes, { checkData: true });
  try {
    const source = bytesOf(bytes);
    const archive = await readPackage(source);
    await verifyData(source, archive, { outputBytes: 1e6 });
    demand(quick === undefined || quick.equals(archive.control), 'two readers, two control files');
  } catch (error) {
    if (!(error instanceof RefusalError)) throw error;
    demand(quick === undefined, `the short way takes what is refused: ${error.message}`);
    throw error;
  }
}

function checkPath(url: string): void {
  const segments = decodePath(url);
  for (const segment of segments) {
    const isPlain = segment !== '' && !segment.startsWith('.') && !/[/\\\p{Cc}]/u.test(segment);
    demand(isPlain, `a segment that is none: ${JSON.stringify(segment)}`);
  }
  const plain = decodeURIComponent(url.replace(/\?.*$/s, '').replace(/^\/+/, ''));
  demand(segments.join('/') === plain, 'a path that was decoded to something else');
  parseByHash(segments[1] ?? '', segments.slice(2).join('/'));
}

/** RFC 9110, 14.1.2, once more, from its words. */
function expectRange(header: string, size: number): [number, number] | 'unsatisfiable' | undefined {
  const [, first, last, suffix] = /^bytes=(?:(\d+)-(\d*)|-(\d+))$/i.exec(header) ?? [];
  if (suffix !== undefined) {
    if (Number(suffix) === 0 || size === 0) return 'unsatisfiable';
    return [Math.max(size - Number(suffix), 0), size - 1];
  }
  if (first === undefined) return undefined;
  if (last && Number(last) < Number(first)) return undefined;
  if (Number(first) >= size) return 'unsatisfiable';
  return [Number(first), last ? Math.min(Number(last), size - 1) : size - 1];
}

function checkRange(header: string, size: number): void {
  const validators = { etag: '"x"', modified: 0 };
  const found = chooseRange({ range: header }, size, validators);
  isUnchanged({ 'if-none-match': header, 'if-modified-since': header }, validators);
  isUnchanged({ 'if-modified-since': header }, validators);
  chooseRange({ range: 'bytes=0-', 'if-range': header }, size, validators);
  if (found !== undefined && found !== 'unsatisfiable') {
    demand(0 <= found.start && found.start <= found.end && found.end < size, 'a range outside');
  }
  const simple = header.replace(/\s/g, '');
  if (!/^bytes=(\d{1,15}-\d{0,15}|-\d{1,15})$/i.test(simple)) {
    demand(found === undefined, `a range out of ${JSON.stringify(header)}`);
    return;
  }
  const wanted = expectRange(simple, size);
  const said = typeof found === 'object' ? [found.start, found.end] : found;
  demand(
    JSON.stringify(said) === JSON.stringify(wanted),
    `${header} of ${size}: ${said}, ${wanted}`,
  );
}

const pairs: [string, string][] = [];

function checkVersions(random: Random): void {
  const characters = '0019.~+a-Zb';
  const make = (): string =>
    random.once(2)
      ? bend(random, VERSIONS).toString('latin1')
      : `${random.once(5) ? '1:' : ''}0${Array.from({ length: random.below(9) }, () => random.pick([...characters])).join('')}1`;
  const [a, b, c] = [make(), make(), make()];
  for (const one of [a, b, c]) parseVersion(one);
  const [ab, ba, bc, ac] = [
    compareVersions(a, b),
    compareVersions(b, a),
    compareVersions(b, c),
    compareVersions(a, c),
  ];
  demand(Math.sign(ab) === -Math.sign(ba), `${a} and ${b} are in two orders`);
  demand(compareVersions(a, a) === 0, `${a} is not itself`);
  if (ab <= 0 && bc <= 0) demand(ac <= 0, `${a}, ${b}, ${c} are in a circle`);
  if (random.once(COMPARED_EVERY)) pairs.push([a, b]);
}

/** What Debian's own Perl says of the pairs that were kept; one process for all. */
function compareWithDpkg(): string[] {
  const script =
    'use Dpkg::Version; while (<>) { chomp; my ($a, $b) = split /\\t/; print version_compare($a, $b), "\\n"; }';
  const input = pairs.map((pair) => `${pair.join('\t')}\n`).join('');
  const options = { input, maxBuffer: 2 ** 30, encoding: 'latin1' } as const;
  const said = execFileSync('perl', ['-e', script], options).split('\n');
  return pairs.flatMap(([a, b], at) =>
    Math.sign(compareVersions(a, b)) === Math.sign(Number(said[at]))
      ? []
      : [`dpkg says ${said[at]} of ${a} and ${b}, we say ${compareVersions(a, b)}`],
  );
}

const source = buildSource({ name: 'hello', extras: true, components: ['doc'] });
const longName = `./${'long/'.repeat(30)}f`;
const ARCHIVES = [
  buildPackage(),
  buildPackage({ control: { name: 'control.tar', content: tarOf('./control') } }),
  buildPackage({
    control: { name: 'control.tar', content: tarOf('./postinst', './control') },
    data: { name: 'data.tar', content: tarOf('./usr/a', './usr/b', longName.slice(0, 90)) },
  }),
  buildPackage({
    control: { name: 'control.tar', content: tarOf('./control') },
    data: {
      name: 'data.tar',
      content: buildTar([
        { name: 'p', type: 'x', content: paxRecord('path', longName) },
        { content: 'x' },
        { type: 'L', content: `${longName}\0` },
        { content: 'y' },
        { name: './l', type: '2', linkName: 'x' },
      ]),
    },
  }),
  buildAr([{ name: '_x', content: 'x' }, VERSION_MEMBER, controlMember(), dataMember()]),
];
const CONTROLS = [
  text(CONTROL),
  text(
    `${CONTROL}Source: other (2:1~rc1)\nDepends: a (>= 1.0) | b [amd64], c:any\nProvides: d (= 1)\nMulti-Arch: same\nSection: contrib/net\nConffiles:\n /etc/a 0\n .\n more\nX-Odd: \xe9\n`,
  ),
];
const VERSIONS = [
  '1.0-1',
  '2:1.0~rc1+dfsg-1~bpo12+1',
  '0',
  '1.0.0-0ubuntu1',
  '9:9-9',
  '1.0~~',
  '00.1a',
].map(text);
const URLS = [
  '/dists/stable/InRelease',
  '/pool/main/g/g%2b%2b/g++_1%3a1.0~rc1_all.deb',
  `/dists/a/main/binary-amd64/by-hash/SHA256/${'0'.repeat(64)}?x=y`,
  '//pool//main/%E6%97%A5.deb',
].map(text);
const RANGES = ['bytes=0-99', 'bytes=100-', 'bytes=-500', 'bytes=0-0,5-9', 'Bytes = 1 - 2'].map(
  text,
);
const RELEASES = [
  text(
    `Origin: T\nLabel: T\nSuite: s\nCodename: s\nDate: Thu, 26 Nov 2020 01:00:00 +0000\nArchitectures: amd64\nComponents: main\nSHA256:\n ${'0'.repeat(64)} 10 main/binary-amd64/Packages\n`,
  ),
];
const INDEX = text(`${CONTROL}Filename: pool/a/a.deb\nSize: 10\nSHA256: ${'0'.repeat(64)}\n\n`);
const SOURCES = text(
  `Package: hello\nDirectory: pool/h\nChecksums-Sha256:\n ${'0'.repeat(64)} 10 hello_1.dsc\n ${'1'.repeat(64)} 9 hello_1.tar.gz\n\n`,
);
const PAPERS = [fileOf(source, '.changes'), fileOf(source, '.dsc')];
const FRAMED = PAPERS.map((paper) =>
  text(
    `-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n${paper.toString('latin1')}-----BEGIN PGP SIGNATURE-----\n\niQ\n-----END PGP SIGNATURE-----\n`,
  ),
);

/** Name -> how often beside the others, and what must hold of an input. */
const READERS: Record<string, { share: number; read: (random: Random) => unknown }> = {
  archive: { share: 2, read: (random) => checkArchive(bend(random, ARCHIVES)) },
  'archive in gzip': {
    share: 1,
    read: (random) => {
      const tar = bend(random, [tarOf('./control'), tarOf('./postinst', './control')]);
      const control = { name: 'control.tar.gz', content: gzipSync(tar, { level: 1 }) };
      return checkArchive(buildPackage({ control }));
    },
  },
  pax: {
    share: 4,
    read: (random) =>
      parsePax(bend(random, [text(paxRecord('path', './a') + paxRecord('size', '1'))])),
  },
  control: { share: 8, read: (random) => checkStanza(bend(random, CONTROLS)) },
  deb822: { share: 4, read: (random) => parseParagraphs(bend(random, [...CONTROLS, INDEX])) },
  changes: { share: 3, read: (random) => parseChanges(bend(random, PAPERS)) },
  dsc: { share: 3, read: (random) => parseDsc(bend(random, PAPERS)) },
  'clear-signed': {
    share: 3,
    read: (random) => {
      const bytes = bend(random, FRAMED);
      const { content, isSigned } = readClearSigned(bytes);
      demand(isSigned || content.equals(bytes), 'what has no frame was changed');
      demand(content.length <= bytes.length + 1, 'more came out than went in');
    },
  },
  Release: { share: 3, read: (random) => readRelease(bend(random, RELEASES)) },
  Packages: {
    share: 3,
    read: (random) => {
      for (const { path } of readPackagesIndex(bend(random, [INDEX, SOURCES]))) {
        demand(!/(^|\/)\.\.?(\/|$)|^\/|\0/.test(path), `a path that leads out: ${path}`);
      }
    },
  },
  Sources: { share: 3, read: (random) => readSourcesIndex(bend(random, [SOURCES, INDEX])) },
  version: { share: 10, read: checkVersions },
  URL: { share: 10, read: (random) => checkPath(bend(random, URLS).toString('utf8')) },
  Range: {
    share: 10,
    read: (random) =>
      checkRange(
        bend(random, RANGES).toString('latin1'),
        random.pick([0, 1, 2, 100, 101, 2 ** 40]),
      ),
  },
};

interface Tally {
  accepted: number;
  refused: number;
  milliseconds: number;
  slowest: number;
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

async function readOne(name: string, random: Random, tally: Tally): Promise<string | undefined> {
  const began = performance.now();
  try {
    await READERS[name]?.read(random);
    tally.accepted += 1;
  } catch (error) {
    if (!(error instanceof RefusalError)) return (error as Error).stack ?? String(error);
    tally.refused += 1;
  } finally {
    const took = performance.now() - began;
    tally.milliseconds += took;
    tally.slowest = Math.max(tally.slowest, took);
  }
  return undefined;
}

const options = { seed: { type: 'string' }, inputs: { type: 'string' }, only: { type: 'string' } };
const { values } = parseArgs({ options: options as Record<string, { type: 'string' }> });
const seed = Number(values.seed ?? randomInt(2 ** 31));
const inputs = Number(values.inputs ?? INPUTS);
if (!Number.isSafeInteger(seed) || !Number.isSafeInteger(inputs) || inputs < 1) {
  throw new RangeError('--seed and --inputs take whole numbers');
}
const names = Object.keys(READERS).filter((name) => [undefined, name].includes(values.only));
const turns = names.flatMap((name) => Array<string>(READERS[name]?.share ?? 0).fill(name));
if (turns.length === 0) throw new RangeError(`--only: ${Object.keys(READERS).join(', ')}`);
say(`seed ${seed}, ${inputs} inputs`);
const tallies = new Map(
  names.map((name) => [name, { accepted: 0, refused: 0, milliseconds: 0, slowest: 0 }]),
);
let findings = 0;
for (let input = 0; input < inputs && findings < MAX_FINDINGS; input += 1) {
  const name = turns[input % turns.length] ?? '';
  const tally = tallies.get(name);
  const found = tally && (await readOne(name, createRandom(seed, input), tally));
  if (found === undefined) continue;
  findings += 1;
  say(`FINDING ${name}, input ${input}: ${found}`);
}
for (const difference of compareWithDpkg().slice(0, MAX_FINDINGS)) {
  findings += 1;
  say(`FINDING version: ${difference}`);
}
for (const [name, { accepted, refused, milliseconds, slowest }] of tallies) {
  const cells = [accepted, refused, (milliseconds / 1000).toFixed(1), slowest.toFixed(0)];
  say(`${name.padEnd(16)}${cells.map((cell) => String(cell).padStart(10)).join('')}`);
}
say(`accepted, refused, seconds, slowest in ms; ${pairs.length} pairs of versions asked of dpkg`);
process.exitCode = findings > 0 ? 1 : 0;
