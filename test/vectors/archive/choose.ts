/**
 * Chooses packages of Debian's archive by a rule: of every kind below the first few in the order
 * of a hash of name and architecture, which nobody steers and everybody can repeat. Reads stanzas
 * of Packages indexes on standard input, writes `name architecture what-for`, one a line.
 */
import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';

/** Larger ones say nothing that smaller ones do not. */
const MAX_BYTES = 150_000;

interface Package {
  name: string;
  architecture: string;
  order: string;
  stanza: string;
  fields: Map<string, string>;
}

function readStanza(stanza: string): Package {
  const fields = new Map<string, string>();
  for (const field of stanza.split(/\n(?![ \t])/)) {
    const colon = field.indexOf(':');
    fields.set(field.slice(0, colon), field.slice(colon + 1).trim());
  }
  const name = fields.get('Package') ?? '';
  const architecture = fields.get('Architecture') ?? '';
  const order = createHash('sha256').update(`${name} ${architecture}`).digest('hex');
  return { name, architecture, order, stanza, fields };
}

const all = (await text(process.stdin))
  .split(/\n\n+/)
  .filter((stanza) => stanza.trim() !== '')
  .map(readStanza)
  .filter((one) => Number(one.fields.get('Size')) <= MAX_BYTES)
  .sort((a, b) => (a.order < b.order ? -1 : 1));

const chosen = new Map<string, string>();

function take(what: string, count: number, suits: (one: Package) => boolean): void {
  let left = count;
  for (const one of all) {
    if (left === 0) return;
    const key = `${one.name} ${one.architecture}`;
    if (chosen.has(key) || !suits(one)) continue;
    chosen.set(key, what);
    left -= 1;
  }
}

/** The longest value of a field, which no hash finds. */
function takeLongest(what: string, count: number, name: string): void {
  const length = (one: Package): number => one.fields.get(name)?.length ?? 0;
  const longest = [...all].sort((a, b) => length(b) - length(a)).slice(0, count);
  for (const one of longest) chosen.set(`${one.name} ${one.architecture}`, what);
}

const valuesOf = (name: string): string[] =>
  [...new Set(all.map((one) => one.fields.get(name)))].filter((value) => value !== undefined).sort();

for (const name of ['Depends', 'Description', 'Provides', 'Tag', 'Breaks', 'Built-Using']) {
  takeLongest(`long-${name.toLowerCase()}`, 4, name);
}
const names = [...new Set(all.flatMap((one) => [...one.fields.keys()]))].sort();
for (const name of names) take(`field-${name}`, 1, (one) => one.fields.has(name));
for (const name of ['Priority', 'Multi-Arch', 'Essential', 'Architecture']) {
  for (const value of valuesOf(name)) {
    take(`${name}-${value}`.toLowerCase(), 6, (one) => one.fields.get(name) === value);
  }
}
for (const section of valuesOf('Section')) {
  const count = section.includes('/') ? 1 : 2;
  take(`section-${section}`, count, (one) => one.fields.get('Section') === section);
}
const version = (pattern: RegExp) => (one: Package) => pattern.test(one.fields.get('Version') ?? '');
take('epoch', 12, version(/:/));
take('tilde', 8, version(/~/));
take('plus', 8, version(/\+/));
take('native', 6, version(/^[^-]*$/));
take('long-version', 6, version(/^.{30}/));
// biome-ignore lint/suspicious/noControlCharactersInRegex: what is not ASCII
take('not-ascii', 14, (one) => /[^\x00-\x7f]/.test(one.stanza));
take('other-source-version', 8, (one) => / \(/.test(one.fields.get('Source') ?? ''));
take('udeb', 24, (one) => one.name.endsWith('-udeb'));
take('tiny', 8, (one) => Number(one.fields.get('Size')) < 3000);
take('arm64', 24, (one) => one.architecture === 'arm64');
take('any', 20, () => true);

for (const [key, what] of [...chosen].sort(([a], [b]) => (a < b ? -1 : 1))) {
  process.stdout.write(`${key} ${what}\n`);
}
