/** Columns for people, and the few words that more than one command prints. Floor 9. */

const GAP = '  ';

/** Left-aligned columns under a heading; nothing but the heading where there are no rows. */
export function renderTable(
  heading: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const all = [heading, ...rows];
  const widths = heading.map((_, column) =>
    Math.max(...all.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(GAP)
      .trimEnd();
  return `${all.map(line).join('\n')}\n`;
}

/** Name and value, one pair a line. */
export function renderPairs(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return `${pairs.map(([name, value]) => `${name.padEnd(width)}${GAP}${value}`.trimEnd()).join('\n')}\n`;
}

/** `2026-11-23 08:42:08Z`: a time as an operator compares it. */
export function formatTime(iso: string | null): string {
  return iso === null ? '-' : `${iso.slice(0, 19).replace('T', ' ')}Z`;
}

/** The two largest units of a span: `6d 23h`, `59m 12s`. */
export function formatSpan(seconds: number): string {
  const units: [string, number][] = [
    ['y', 31_536_000],
    ['d', 86_400],
    ['h', 3600],
    ['m', 60],
    ['s', 1],
  ];
  let left = Math.abs(Math.round(seconds));
  const parts: string[] = [];
  for (const [unit, length] of units) {
    const count = Math.floor(left / length);
    if (parts.length === 0 && count === 0 && unit !== 's') continue;
    parts.push(`${count}${unit}`);
    left -= count * length;
    if (parts.length === 2) break;
  }
  return `${seconds < 0 ? '-' : ''}${parts.join(' ')}`;
}

export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Emphasis on a terminal that wants colours, plain text elsewhere. */
export function paint(text: string, colour: 'red' | 'yellow' | 'green'): string {
  const wanted = process.stdout.isTTY && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  const code = { red: 31, yellow: 33, green: 32 }[colour];
  return wanted ? `\u001b[${code}m${text}\u001b[0m` : text;
}
