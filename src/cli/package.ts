/** `aptkeep upload` and `aptkeep package`. Floor 9. */
import { access, constants, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import { RefusalError, systemCode } from '../errors.ts';
import type { AddedPackage } from '../operations/packages.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { describeFailure } from './exit.ts';
import { addMoves } from './package-moves.ts';
import type { Performer, Progress, UploadPlace } from './performer.ts';
import { formatBytes, formatTime, renderTable } from './table.ts';

/** Uploads under way at once: enough to share publications, few enough to be fair. */
const CONCURRENT_UPLOADS = 4;

const NOT_PACKAGES = /\.(dsc|changes|buildinfo)$/;

async function measureFile(path: string): Promise<number> {
  if (NOT_PACKAGES.test(path)) {
    throw new RefusalError(
      'INPUT_INVALID',
      `${path}: this version takes binary packages only, no .changes and no .dsc`,
    );
  }
  try {
    const found = await stat(path);
    await access(path, constants.R_OK);
    if (found.isFile()) return found.size;
  } catch (error) {
    throw new RefusalError('FILE_UNREADABLE', `${path}: ${systemCode(error)}`);
  }
  throw new RefusalError('FILE_UNREADABLE', `${path}: not a file`);
}

/** A bar on a terminal, silence elsewhere. */
function startProgress(total: number): { advance: Progress; stop: () => void } {
  if (!process.stderr.isTTY) return { advance: () => {}, stop: () => {} };
  const bar = new SingleBar({
    format: 'uploading [{bar}] {percentage}%  {text}',
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  let sent = 0;
  bar.start(Math.max(total, 1), 0, { text: '' });
  return {
    advance(bytes) {
      sent += bytes;
      bar.update(Math.min(sent, total), { text: `${formatBytes(sent)} of ${formatBytes(total)}` });
    },
    stop: () => bar.stop(),
  };
}

interface Outcome {
  file: string;
  added?: AddedPackage;
  created?: boolean;
  error?: unknown;
}

async function uploadAll(
  performer: Performer,
  files: readonly string[],
  place: UploadPlace,
  progress: Progress,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...files.entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [position, file] = next;
      try {
        outcomes[position] = { file, ...(await performer.upload(file, place, progress)) };
      } catch (error) {
        outcomes[position] = { file, error };
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT_UPLOADS }, work));
  return outcomes;
}

function showOutcomes(outcomes: readonly Outcome[]): Shown {
  const failed = outcomes.filter((one) => one.error !== undefined);
  for (const { file, error } of failed) {
    process.stderr.write(
      `${describeFailure(error).message.replace('aptkeep: ', `aptkeep: ${basename(file)}: `)}\n`,
    );
  }
  const rows = outcomes.flatMap(({ added, created }) =>
    added
      ? [
          [
            added.package,
            added.version,
            added.architecture,
            `${added.suite}/${added.component}`,
            String(added.publication),
            created ? 'added' : 'was there already',
          ],
        ]
      : [],
  );
  const heading = ['PACKAGE', 'VERSION', 'ARCH', 'SUITE', 'PUBLICATION', ''];
  const packages = outcomes.flatMap(({ added, created }) => (added ? [{ ...added, created }] : []));
  return {
    json: packages.length ? { packages } : undefined,
    text: rows.length ? renderTable(heading, rows) : '',
    ...(failed.length
      ? { status: Math.max(...failed.map((one) => describeFailure(one.error).status)) }
      : {}),
  };
}

async function upload(
  performer: Performer,
  files: readonly string[],
  place: UploadPlace,
): Promise<Shown> {
  let total = 0;
  for (const file of files) total += await measureFile(file);
  const progress = startProgress(total);
  try {
    const outcomes = await uploadAll(performer, files, place, progress.advance);
    progress.stop();
    return showOutcomes(outcomes);
  } finally {
    progress.stop();
  }
}

export function addPackageCommands(program: Command): void {
  addLeaf(program, {
    usage: 'upload <file...>',
    summary: 'add packages to a suite; done when apt can install them',
    example: 'aptkeep upload lu-moodle-lu_2.5.0-0_all.deb --suite stable',
    options: (command) =>
      command
        .requiredOption('--suite <name>', 'the suite')
        .option('--component <name>', "the component (default: the suite's first)"),
    run: (performer, options, [files]) =>
      upload(performer, files as string[], {
        suite: String(options.suite),
        component: options.component as string | undefined,
      }),
  });
  const packages = addNoun(program, 'package', 'packages', 'aptkeep package list');
  addLeaf(packages, {
    usage: 'list [query]',
    summary: 'packages that a suite lists; QUERY is a part of the name',
    example: 'aptkeep package list moodle',
    options: (command) => command.option('--suite <name>', 'only this suite'),
    run: async (performer, options, [query]) => {
      const json = await performer.perform('package.list', {
        ...(query === undefined ? {} : { query: String(query) }),
        ...(options.suite === undefined ? {} : { suite: String(options.suite) }),
      });
      const rows = json.packages.map((one) => [
        one.package,
        one.version,
        one.architecture,
        `${one.suite}/${one.component}`,
        formatBytes(one.size),
        formatTime(one.uploadedAt),
      ]);
      return {
        json,
        text: renderTable(['PACKAGE', 'VERSION', 'ARCH', 'SUITE', 'SIZE', 'UPLOADED'], rows),
      };
    },
  });
  addLeaf(packages, {
    usage: 'show <name[=version]>',
    summary: 'the stanzas of a package, newest version first',
    example: 'aptkeep package show lu-moodle-lu=2.5.0-0',
    run: async (performer, _options, [word]) => {
      const [name = '', version] = String(word).split('=', 2);
      const input = { package: name, ...(version === undefined ? {} : { version }) };
      const json = await performer.perform('package.show', input);
      return { json, text: json.packages.map((one) => one.stanza).join('\n') };
    },
  });
  addMoves(packages);
}
