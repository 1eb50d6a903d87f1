/** `aptkeep upload`. Floor 9. */
import { basename } from 'node:path';
import { SingleBar } from 'cli-progress';
import type { Command } from 'commander';
import type { AddedPackage } from '../operations/packages.ts';
import { addLeaf, type Shown } from './command.ts';
import { describeFailure } from './exit.ts';
import type { Performer, Progress, UploadPlace } from './performer.ts';
import { formatBytes, renderTable } from './table.ts';
import { groupFiles, type UploadGroup } from './upload-group.ts';

/** Uploads under way at once: enough to share publications, few enough to be fair. */
const CONCURRENT_UPLOADS = 4;

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
  packages?: AddedPackage[];
  created?: boolean;
  error?: unknown;
}

async function uploadAll(
  performer: Performer,
  groups: readonly UploadGroup[],
  place: UploadPlace,
  progress: Progress,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const queue = [...groups.entries()];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [position, { files }] = next;
      const [file = ''] = files;
      try {
        outcomes[position] = { file, ...(await performer.upload(files, place, progress)) };
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
  const listed = outcomes.flatMap(({ packages = [], created }) =>
    packages.map((added) => ({ ...added, created })),
  );
  const rows = listed.map((added) => [
    ...[added.package, added.version, added.architecture],
    `${added.suite}/${added.component}`,
    String(added.publication),
    added.created ? 'added' : 'was there already',
  ]);
  const heading = ['PACKAGE', 'VERSION', 'ARCH', 'SUITE', 'PUBLICATION', ''];
  return {
    json: listed.length ? { packages: listed } : undefined,
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
  const groups = await groupFiles(files);
  const progress = startProgress(groups.reduce((sum, { bytes }) => sum + bytes, 0));
  try {
    const outcomes = await uploadAll(performer, groups, place, progress.advance);
    progress.stop();
    return showOutcomes(outcomes);
  } finally {
    progress.stop();
  }
}

export function addUploadCommand(program: Command): void {
  addLeaf(program, {
    usage: 'upload <file...>',
    summary: 'add packages, .dsc or .changes to a suite; done when apt can install them',
    example: 'aptkeep upload lu-moodle-lu_2.5.0-0_all.deb --suite stable',
    options: (command) =>
      command
        .requiredOption('--suite <name>', 'the suite')
        .option('--component <name>', "the component (default: the suite's first)")
        .option('--any-distribution', 'take a .changes whose Distribution is another suite'),
    run: (performer, options, [files]) =>
      upload(performer, files as string[], {
        suite: String(options.suite),
        component: options.component as string | undefined,
        anyDistribution: options.anyDistribution === true,
      }),
  });
}
