/**
 * The floors and the doors. A file imports from its own folder or from a lower floor, never
 * upwards, never sideways, never in a circle; an npm package is imported from the one folder that
 * is its door. Where this test fails, move the line, not the wall.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SRC = new URL('../src', import.meta.url).pathname;

/** Room -> floor; a room is a folder of src/ or a file that stands in it. */
const FLOORS: Record<string, number> = {
  'main.ts': 10,
  cli: 9,
  'daemon.ts': 8,
  'worker.ts': 8,
  'chores.ts': 7,
  'recover.ts': 7,
  http: 7,
  'compose.ts': 6,
  dashboard: 5,
  operations: 5,
  backup: 4,
  fleet: 4,
  repository: 3,
  authority: 3,
  foreign: 2,
  storage: 2,
  catalog: 2,
  deb: 1,
  signing: 1,
  pki: 1,
  'config.ts': 2,
  'settings.ts': 1,
  'command.ts': 1,
  'xz-program.ts': 2,
  'notation.ts': 0,
  'errors.ts': 0,
  'announcer.ts': 0,
  'queue.ts': 0,
  'plain-http.ts': 0,
  'thread.ts': 0,
  'secret.ts': 0,
  'byte-cache.ts': 0,
  'log.ts': 0,
};

/** Package (or Node module) -> the only rooms that may import it. */
const DOORS: Record<string, string[]> = {
  express: ['http'],
  multer: ['http'],
  'range-parser': ['http'],
  openpgp: ['signing'],
  'node-forge': ['pki'],
  'tar-stream': ['deb', 'backup'],
  'xz-decompress': ['deb'],
  commander: ['cli'],
  'cli-progress': ['cli'],
  yaml: ['config.ts'],
  zod: ['operations', 'http', 'backup'],
  pino: ['log.ts'],
  'node:sqlite': ['catalog'],
  'node:https': ['http', 'cli', 'authority', 'foreign'],
  'node:http': ['http', 'cli', 'authority', 'foreign', 'plain-http.ts'],
  'node:tls': ['http'],
  'node:child_process': ['command.ts', 'xz-program.ts', 'cli', 'http', 'storage'],
};

interface Source {
  file: string;
  room: string;
  imports: string[];
  text: string;
}

const sources: Source[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .map((file) => {
    const text = readFileSync(join(SRC, file), 'utf8');
    const imports = [
      ...text.matchAll(
        /(?:^import\s+|^(?:import|export)\b[^;'"`]*?\bfrom\s+|\bimport\()'([^']+)'/gm,
      ),
    ].map((m) => m[1] ?? '');
    return { file, room: file.split('/')[0] ?? '', imports, text };
  });

const target = (source: Source, specifier: string): string =>
  relative(SRC, normalize(join(SRC, dirname(source.file), specifier)));

describe('floors', () => {
  it('knows every room', () => {
    expect([...new Set(sources.map((s) => s.room))].filter((room) => !(room in FLOORS))).toEqual(
      [],
    );
  });

  it('lets nothing import upwards or sideways', () => {
    const wrong = sources.flatMap((source) =>
      source.imports
        .filter((i) => i.startsWith('.'))
        .map((i) => target(source, i).split('/')[0] ?? '')
        .filter((room) => room !== source.room)
        .filter((room) => (FLOORS[room] ?? 99) >= (FLOORS[source.room] ?? -1))
        .map((room) => `${source.file} -> ${room}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has no circles', () => {
    const edges = new Map(
      sources.map((s) => [
        s.file,
        s.imports.filter((i) => i.startsWith('.')).map((i) => target(s, i)),
      ]),
    );
    const done = new Set<string>();
    const circles: string[] = [];
    const walk = (file: string, trail: string[]): void => {
      if (trail.includes(file)) circles.push([...trail, file].join(' -> '));
      if (done.has(file) || trail.includes(file)) return;
      for (const next of edges.get(file) ?? []) walk(next, [...trail, file]);
      done.add(file);
    };
    for (const file of edges.keys()) walk(file, []);
    expect(circles).toEqual([]);
  });
});

describe('doors', () => {
  it('opens each package to its own rooms only', () => {
    const wrong = sources.flatMap((source) =>
      source.imports
        .filter((i) => i in DOORS && !DOORS[i]?.includes(source.room))
        .map((i) => `${source.file} imports ${i}`),
    );
    expect(wrong).toEqual([]);
  });

  it('reaches node:http by its own door, from the same rooms', () => {
    const rooms = DOORS['node:http'] ?? [];
    const strangers = sources
      .filter((s) => s.imports.some((i) => i.endsWith('/plain-http.ts')))
      .filter((s) => !rooms.includes(s.room));
    expect(strangers.map((s) => s.file)).toEqual([]);
    const loads = sources.filter((s) => /^import (?!type )[^;]*?from 'node:http';/m.test(s.text));
    expect(loads.map((s) => s.file)).toEqual([]);
  });

  it('knows every package', () => {
    const used = new Set(sources.flatMap((s) => s.imports).filter((i) => !/^(\.|node:)/.test(i)));
    expect([...used].filter((i) => !(i in DOORS))).toEqual([]);
  });

  it('uses every runtime dependency', () => {
    const manifest = JSON.parse(readFileSync(join(SRC, '../package.json'), 'utf8'));
    const used = new Set(sources.flatMap((s) => s.imports));
    expect(Object.keys(manifest.dependencies).filter((name) => !used.has(name))).toEqual([]);
  });
});

describe('purity', () => {
  it('keeps clock, disk and network out of deb/, signing/ and pki/', () => {
    const wrong = sources
      .filter((s) => ['deb', 'signing', 'pki'].includes(s.room))
      .filter(
        (s) =>
          /Date\.now\(\)|new Date\(\)/.test(s.text) ||
          s.imports.some((i) => /^node:(fs|net|http|https|tls|child_process|sqlite)/.test(i)),
      )
      .map((s) => s.file);
    expect(wrong).toEqual([]);
  });

  it('has no default export, no barrel, no forbidden name', () => {
    const wrong = sources
      .filter(
        (s) =>
          /^export default/m.test(s.text) ||
          /(^|\/)index\.ts$/.test(s.file) ||
          /(^|\/)(util|utils|helper|helpers|manager|service|handler)s?(\.ts|\/)/.test(s.file),
      )
      .map((s) => s.file);
    expect(wrong).toEqual([]);
  });

  it('gives every file a header that says what it is and on which floor it stands', () => {
    const wrong = sources
      .filter((s) => !/^\/\*\*[\s\S]*?Floor \d+\.[\s\S]*?\*\//.test(s.text.slice(0, 1500)))
      .map((s) => s.file);
    expect(wrong).toEqual([]);
  });
});
