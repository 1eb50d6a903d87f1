/**
 * How settings of the simpler kinds are written: durations, sizes, addresses, numbers, words. Floor 0.
 */

export interface Address {
  host: string;
  port: number;
}

/** How one setting is written; `parse` returns undefined for what it does not accept. */
export interface Notation<Value> {
  parse(text: string): Value | undefined;
  allowed: string;
  /** What stands between the items of a YAML list in the text; a comma where nothing is said. */
  separator?: string;
}

const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const UNIT_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

function scaled<Unit extends string>(
  units: Record<Unit, number>,
  minimum: number,
  allowed: string,
): Notation<number> {
  const pattern = new RegExp(`^(\\d{1,12})(${Object.keys(units).join('|')})$`);
  return {
    allowed,
    parse: (text) => {
      const match = pattern.exec(text);
      const value = match ? Number(match[1]) * units[match[2] as Unit] : Number.NaN;
      return Number.isSafeInteger(value) && value >= minimum ? value : undefined;
    },
  };
}

export const duration = scaled(
  UNIT_MS,
  1000,
  'a duration of at least one second, like 8s, 15m, 24h or 90d',
);
export const size = scaled(UNIT_BYTES, 1, 'a size like 512B, 64KiB, 20MiB or 2GiB');

export const address: Notation<Address> = {
  allowed: 'HOST:PORT, like 0.0.0.0:8443 or [::]:8443',
  parse: (text) => {
    const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
    const port = Number(match?.[3]);
    const host = match?.[1] ?? match?.[2];
    return host && port <= 65_535 ? { host, port } : undefined;
  },
};

export const optionalAddress: Notation<Address | null> = {
  allowed: `${address.allowed}, or off`,
  parse: (text) => (text === 'off' ? null : address.parse(text)),
};

export const optionalDuration: Notation<number | null> = {
  allowed: `${duration.allowed}, or off`,
  parse: (text) => (text === 'off' ? null : duration.parse(text)),
};

/** What hosts are promised may be more, never less. */
export const durationFrom = (least: string): Notation<number> => ({
  allowed: `${duration.allowed}, at least ${least}`,
  parse: (text) => {
    const value = duration.parse(text);
    return value !== undefined && value >= (duration.parse(least) ?? 0) ? value : undefined;
  },
});

export const boolean: Notation<boolean> = {
  allowed: 'true or false',
  parse: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

export const choice = <Word extends string>(...words: Word[]): Notation<Word> => ({
  allowed: words.join(', '),
  parse: (text) => words.find((word) => word === text),
});

export const count = (maximum: number, minimum = 1): Notation<number> => ({
  allowed: `a number from ${minimum} to ${maximum}`,
  parse: (text) =>
    /^[1-9]\d{0,5}$/.test(text) && Number(text) >= minimum && Number(text) <= maximum
      ? Number(text)
      : undefined,
});

/** A count, or `auto` for what the machine says. */
export const countOr = (automatic: () => number, maximum: number): Notation<number> => {
  const counted = count(maximum);
  return {
    allowed: `auto, or ${counted.allowed}`,
    parse: (text) => (text === 'auto' ? Math.min(automatic(), maximum) : counted.parse(text)),
  };
};

export const text: Notation<string> = {
  allowed: 'one line of 1 to 64 printable characters',
  parse: (value) => (/^[^\p{C}\p{Zl}\p{Zp}]{1,64}$/u.test(value.trim()) ? value.trim() : undefined),
};
