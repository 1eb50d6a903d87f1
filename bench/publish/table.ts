/** What came out, for people: a line for each program under each step, and the targets beside it. */
import { median } from '../server.ts';
import type { Cost } from './cost.ts';

/** Step -> program -> what its rounds cost. */
export type Results = Map<string, Map<string, Cost[]>>;

export function record(results: Results, step: string, name: string, cost: Cost): void {
  const programs = results.get(step) ?? new Map<string, Cost[]>();
  results.set(step, programs);
  programs.set(name, [...(programs.get(name) ?? []), cost]);
}

const ms = (value: number): string => value.toFixed(value < 100 ? 1 : 0);
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / Math.max(values.length, 1);

type Pick = (cost: Cost) => number;
const pickWall: Pick = (cost) => cost.wall;

/** Undefined where it was not measured. */
export function readMedian(
  results: Results | undefined,
  step: string,
  name: string,
  pick = pickWall,
): number | undefined {
  const costs = results?.get(step)?.get(name);
  return costs && median(costs.map(pick));
}

/**
 * What one program takes of the other's time: the median of the ratios of the rounds, which does not
 * see what the machine does meanwhile.
 */
export function readRatio(
  results: Results | undefined,
  step: string,
  [name, other]: readonly [string, string],
): number | undefined {
  const [ours, theirs] = [name, other].map((one) => results?.get(step)?.get(one));
  if (!ours || !theirs) return undefined;
  return median(ours.map(({ wall }, round) => wall / (theirs[round]?.wall ?? Number.NaN)));
}

/** CPU of a process that ends is told in steps of 10 ms: of those the mean says more. */
const cpuOf = (costs: readonly Cost[], isServer: boolean): number => {
  const values = costs.map(({ cpu }) => cpu);
  return isServer ? median(values) : mean(values);
};

export function printResults(results: Results, baseline: string): void {
  const columns = ['wall ms', 'min', 'max', 'CPU ms', 'client', 'KB written', 'peak MB', 'ratio'];
  for (const [step, programs] of results) {
    console.log(`\n${step.padEnd(34)}${columns.map((name) => name.padStart(11)).join('')}`);
    for (const [name, costs] of programs) {
      const walls = costs.map(({ wall }) => wall);
      const clients = costs.flatMap(({ client }) => (client === undefined ? [] : [client]));
      const peak = Math.max(...costs.map((cost) => cost.peak));
      const wall = median(walls);
      const cells = [
        ...[ms(wall), ms(Math.min(...walls)), ms(Math.max(...walls))],
        ms(cpuOf(costs, clients.length > 0)),
        clients.length ? ms(mean(clients)) : '',
        (median(costs.map(({ written }) => written)) / 1024).toFixed(0),
        peak ? (peak / 1e6).toFixed(0) : '',
        readRatio(results, step, [name, baseline])?.toFixed(3) ?? '',
      ];
      console.log(`  ${name.padEnd(32)}${cells.map((cell) => cell.padStart(11)).join('')}`);
    }
  }
}

export interface Target {
  what: string;
  own: number | undefined;
  other: number | undefined;
  /** Of one to the other, where rounds were paired. */
  ratio?: number | undefined;
  /** At the most this much of the other; undefined for a control, where nothing differs. */
  atMost: number | undefined;
}

export function printTargets(targets: readonly Target[]): void {
  const columns = ['ours', 'theirs', 'ratio', 'at most'].map((word) => word.padStart(10));
  console.log(`\n${'targets'.padEnd(74)}${columns.join('')}`);
  for (const { what, own, other, ratio, atMost } of targets) {
    if (own === undefined || other === undefined) continue;
    const found = ratio ?? own / other;
    const verdict =
      atMost === undefined
        ? 'a control'
        : found <= atMost
          ? 'met'
          : `missed, by ${(found / atMost).toFixed(2)} times`;
    const cells = [ms(own), ms(other), found.toFixed(4), atMost?.toFixed(4) ?? ''];
    console.log(
      `  ${what.padEnd(72)}${cells.map((cell) => cell.padStart(10)).join('')}  ${verdict}`,
    );
  }
}
