/** What is aimed at, and how far it is: ratios within one run. */
import { ROWS } from './steps.ts';
import { printTargets, type Results, readMedian, readRatio, type Target } from './table.ts';

const OWN = 'aptkeep';
const CURL = 'aptkeep, fresh curl';
const INSIDE = 'aptkeep, in process';
const REPREPRO = 'reprepro';
const API = 'aptly API';
const FTPARCHIVE = 'apt-ftparchive + gpg';

type Row = (typeof ROWS)[keyof typeof ROWS];

/** The rows of the table of targets; what was not measured is left out of the print. */
function listTargets(all: ReadonlyMap<number, Results>): Target[] {
  const wall = (size: number, row: Row, name: string): number | undefined =>
    readMedian(all.get(size), row, name);
  const peak = (size: number, name: string): number | undefined =>
    readMedian(all.get(size), ROWS.add, name, (cost) => cost.peak / 1e6);
  const against = (
    size: number,
    row: Row,
    name: string,
    other: string,
    atMost?: number,
  ): Target => ({
    what: `${row}: ${name} to ${other}, ${size.toLocaleString('en')}`,
    ...{ own: wall(size, row, name), other: wall(size, row, other), atMost },
    ratio: readRatio(all.get(size), row, [name, other]),
  });
  const sizes = [...all.keys()];
  const largest = Math.max(...sizes);
  return [
    against(10, ROWS.add, OWN, FTPARCHIVE, 1 / 4),
    against(10_000, ROWS.add, OWN, REPREPRO, 1 / 50),
    against(10_000, ROWS.add, CURL, REPREPRO, 1 / 20),
    against(10_000, ROWS.replace, INSIDE, REPREPRO, 1 / 20),
    against(10_000, ROWS.remove, OWN, REPREPRO, 1 / 20),
    against(10_000, ROWS.remove, INSIDE, REPREPRO, 1 / 20),
    against(10_000, ROWS.burst, OWN, REPREPRO, 1 / 2),
    against(10_000, ROWS.import, OWN, FTPARCHIVE, 0.6),
    against(100_000, ROWS.add, OWN, REPREPRO, 1 / 300),
    {
      what: `${ROWS.add}: 100,000 to 1,000`,
      ...{ own: wall(100_000, ROWS.add, OWN), other: wall(1000, ROWS.add, OWN), atMost: 2 },
    },
    against(largest, ROWS.largeAfter, OWN, REPREPRO, 1 / 20),
    ...([10_000, 100_000] as const).map((size) => ({
      what: `peak memory, MB: ${OWN} to ${API}, ${size.toLocaleString('en')}`,
      ...{ own: peak(size, OWN), other: peak(size, API), atMost: size > 10_000 ? 1 : 1.3 },
    })),
    ...sizes.flatMap((size) => [
      against(size, ROWS.add, `${OWN}, control`, OWN),
      against(size, ROWS.add, `${REPREPRO}, control`, REPREPRO),
    ]),
  ];
}

export function printAllTargets(all: ReadonlyMap<number, Results>): void {
  printTargets(listTargets(all));
}
