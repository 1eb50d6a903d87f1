/**
 * Packages as an archive has them: names, versions, dependencies, descriptions and sizes that vary,
 * the same ones in every run. Kept in the temporary folder, in folders of a thousand.
 */
import { existsSync, linkSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderDeb } from './deb.ts';

const FOLDER_PACKAGES = 1000;
/** What is made of a number; one that changes what comes out gets the next. */
const EDITION = 1;
/** Numbers past this are not part of any corpus: they come one by one, into a corpus. */
export const FIRST_NEW = 10_000_000;

const SYLLABLES =
  'ac ad al am an ar ba be bi bo ca ce ci co cu da de di do el en er fa fi fo ga ge go ha he hi id in ka ki ko la le li lo ma me mi mo na ne ni no or pa pe pi po ra re ri ro sa se si so ta te ti to un va ve vi xa xe zo'.split(
    ' ',
  );
const WORDS =
  'access an analysis and archive audio backend based binary bindings buffer cache client code command common compatible compiler compression configuration console control daemon data database debugging decoder desktop development device documentation driver editor encoding engine error event extension fast file filter for format framework from functions game generic graphics handling hardware header image implementation in index input interface internet is it kernel language library lightweight line linux list local manager memory message metadata module monitor multiple network object of on open output package parser patch performance platform plugin portable process programming protocol provides query reader remote rendering request runtime scripts search security server service set shared simple socket source standard stream support system task template terminal test text that the this time to tool toolkit tracking transfer type unicode user utilities version video virtual web which widget window with wrapper writer'.split(
    ' ',
  );
const SECTIONS =
  'admin database devel doc editors games graphics libs libdevel mail math misc net perl python science sound text utils web'.split(
    ' ',
  );
const COMMON = ['libc6 (>= 2.34)', 'libgcc-s1 (>= 3.0)', 'libstdc++6 (>= 11)', 'zlib1g (>= 1:1.2)'];
const FORMS: ((stem: string) => string)[] = [
  (stem) => stem,
  (stem) => `lib${stem}1`,
  (stem) => `lib${stem}-dev`,
  (stem) => `lib${stem}-perl`,
  (stem) => `python3-${stem}`,
  (stem) => `node-${stem}`,
  (stem) => `golang-${stem}-dev`,
  (stem) => `${stem}-doc`,
  (stem) => `${stem}-common`,
];

/** Numbers from a seed: mulberry32. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = (seed * 2_654_435_761) >>> 0;
  }

  /** 0 to 2^32 - 1. */
  word(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return this.word() % limit;
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)] as Value;
  }

  some<Result>(atMost: number, make: () => Result): Result[] {
    return Array.from({ length: this.below(atMost + 1) }, make);
  }
}

/** What a package is called. */
export interface Facts {
  name: string;
  version: string;
  architecture: string;
}

export interface Sample extends Facts {
  /** name_version_arch.deb, the version without its epoch. */
  file: string;
  bytes: Buffer;
}

/** The name of the package of a number; no two share one. */
export function nameOf(number: number): string {
  const dice = new Dice(number);
  const count = 2 + dice.below(3);
  const stem = Array.from({ length: count }, () => dice.pick(SYLLABLES)).join('');
  return dice.pick(FORMS)(`${stem}${number.toString(36)}`);
}

function describe(dice: Dice): string {
  const sentence = (words: number): string =>
    Array.from({ length: words }, () => dice.pick(WORDS)).join(' ');
  const lines = Array.from({ length: 1 + dice.below(7) }, () => ` ${sentence(8 + dice.below(4))}`);
  if (lines.length > 3) lines[2] = ' .';
  return [sentence(3 + dice.below(5)), ...lines].join('\n');
}

function renderControl(dice: Dice, number: number, facts: Facts): string {
  const limit = Math.max(1, Math.min(number, FIRST_NEW));
  const others = dice.some(8, () => {
    const other = nameOf(dice.below(limit));
    return dice.below(3) === 0 ? `${other} (>= ${dice.below(9)}.${dice.below(20)})` : other;
  });
  const depends = [...dice.some(3, () => dice.pick(COMMON)), ...others];
  const distinct = [...new Set(depends)];
  const field = (name: string, value: string): string => (value ? `${name}: ${value}\n` : '');
  return [
    `Package: ${facts.name}\n`,
    dice.below(3) === 0
      ? `Source: ${nameOf(dice.below(limit)).replace(/^lib|-.*$/g, '')}src\n`
      : '',
    `Version: ${facts.version}\nArchitecture: ${facts.architecture}\n`,
    'Maintainer: Debian Maintainers <maintainers@example.org>\n',
    `Installed-Size: ${10 + dice.below(9000)}\n`,
    field('Depends', distinct.join(', ')),
    field('Recommends', dice.some(2, () => nameOf(dice.below(limit))).join(', ')),
    field('Suggests', dice.some(2, () => nameOf(dice.below(limit))).join(', ')),
    dice.below(4) === 0 ? `Multi-Arch: ${facts.architecture === 'all' ? 'foreign' : 'same'}\n` : '',
    `Section: ${dice.pick(SECTIONS)}\nPriority: optional\n`,
    `Homepage: https://${facts.name}.example.org/\n`,
    `Description: ${describe(dice)}\n`,
  ].join('');
}

function throwFacts(number: number, update: number): Facts & { dice: Dice } {
  const dice = new Dice(number + 0x5bd1e995);
  const upstream = `${dice.below(9)}.${dice.below(30)}.${dice.below(12) + update * 12}`;
  const epoch = dice.below(12) === 0 ? '1:' : '';
  const version = `${epoch}${upstream}-${1 + dice.below(5)}`;
  const architecture = dice.below(10) < 4 ? 'all' : 'amd64';
  return { name: nameOf(number), version, architecture, dice };
}

/** What the package of a number is called, without making it. */
export function factsOf(number: number): Facts {
  const { name, version, architecture } = throwFacts(number, 0);
  return { name, version, architecture };
}

/**
 * The package of a number. `update` makes the same package of a later version; `bytes` of data that
 * does not compress stand in it besides the text.
 */
export function makeSample(number: number, update = 0, bytes?: number): Sample {
  const { dice, ...facts } = throwFacts(number, update);
  const { name, version, architecture } = facts;
  const control = renderControl(dice, number, facts);
  const noise = Buffer.alloc(bytes ?? dice.below(4000));
  const words = new Uint32Array(noise.buffer, noise.byteOffset, noise.length >> 2);
  for (let at = 0; at < words.length; at += 1) words[at] = dice.word();
  const files = [
    { path: `/usr/share/${name}/${dice.pick(WORDS)}`, content: noise },
    { path: `/usr/share/doc/${name}/copyright`, content: Buffer.from(describe(dice)) },
  ];
  return {
    ...facts,
    file: `${name}_${version.replace(/^\d+:/, '')}_${architecture}.deb`,
    bytes: renderDeb(control, files, bytes === undefined ? 6 : 1),
  };
}

export interface Corpus {
  /** Holds `folders` and nothing else. */
  root: string;
  folders: string[];
}

/** A folder made whole or not at all: an interrupted run leaves no half to the next. */
function makeFolder(folder: string, fill: (unfinished: string) => void): void {
  if (existsSync(folder)) return;
  const unfinished = `${folder}.${process.pid}`;
  mkdirSync(unfinished, { recursive: true });
  fill(unfinished);
  renameSync(unfinished, folder);
}

/** The first `count` packages in folders of a thousand; made where they are missing. */
export function openCorpus(count: number): Corpus {
  const all = join(tmpdir(), `aptkeep-corpus-${EDITION}`);
  const root = join(all, `of-${count}`);
  makeFolder(root, (unfinished) => {
    for (let from = 0; from < count; from += FOLDER_PACKAGES) {
      const size = Math.min(FOLDER_PACKAGES, count - from);
      const folder = join(all, `${from}+${size}`);
      makeFolder(folder, (empty) => {
        for (let number = from; number < from + size; number += 1) {
          const { file, bytes } = makeSample(number);
          writeFileSync(join(empty, file), bytes);
        }
      });
      // Links: the corpora of several sizes are the same files.
      const linked = join(unfinished, `${from}`);
      mkdirSync(linked);
      for (const file of readdirSync(folder)) linkSync(join(folder, file), join(linked, file));
    }
  });
  return { root, folders: readdirSync(root).map((name) => join(root, name)) };
}
