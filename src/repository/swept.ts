/** What a sweep takes, or would take, and why: counted whole, named up to a bound. Floor 3. */

export type SweptKind = 'publication' | 'listing' | 'package' | 'index' | 'orphan';

export interface SweptThing {
  kind: SweptKind;
  /** `stable 12`, `name version architecture`, or a key. */
  name: string;
  suite: string | null;
  /** What is freed on disk. */
  bytes: number;
  why: string;
}

export interface SweptTotal {
  count: number;
  bytes: number;
}

/** More is counted and not named: the answer is read by people. */
const MAX_NAMED = 10_000;

export class SweptThings {
  readonly named: SweptThing[] = [];
  readonly totals: Record<SweptKind, SweptTotal> = {
    publication: { count: 0, bytes: 0 },
    listing: { count: 0, bytes: 0 },
    package: { count: 0, bytes: 0 },
    index: { count: 0, bytes: 0 },
    orphan: { count: 0, bytes: 0 },
  };
  /** Files that were there before the repository was: somebody else's, until somebody says so. */
  readonly foreign: SweptTotal = { count: 0, bytes: 0 };

  add(thing: SweptThing): void {
    const total = this.totals[thing.kind];
    total.count += 1;
    total.bytes += thing.bytes;
    if (this.named.length < MAX_NAMED) this.named.push(thing);
  }

  leave(bytes: number): void {
    this.foreign.count += 1;
    this.foreign.bytes += bytes;
  }

  get bytes(): number {
    return Object.values(this.totals).reduce((sum, total) => sum + total.bytes, 0);
  }
}
