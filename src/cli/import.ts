/** `aptkeep import`: a repository of others becomes a suite. Floor 9. */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { RefusalError, systemCode } from '../errors.ts';
import type { InputOf, OutputOf } from '../operations/table.ts';
import { addLeaf, collectWords, type LeafOptions, type Shown } from './command.ts';
import type { Performer } from './performer.ts';
import { startBar } from './progress.ts';
import { renderPairs } from './table.ts';

const POLL_INTERVAL_MS = 250;

interface ImportOptions {
  suite: string;
  distribution?: string;
  components?: string[];
  architectures?: string[];
  keyring?: string;
  signingKey?: string;
  sourceCa?: string;
  sourceCert?: string;
  sourceKey?: string;
  checkData?: boolean;
  skipBad?: boolean;
  server?: string;
  data?: string;
}

async function readHere(option: string, path: string): Promise<Buffer> {
  return readFile(path).catch((error: unknown) => {
    throw new RefusalError('FILE_UNREADABLE', `${option} ${path}: ${systemCode(error)}`);
  });
}

const isUrl = (source: string): boolean => /^[a-z][a-z0-9+.-]*:\/\//i.test(source);

/** What the server opens itself is named as it finds it: on another machine as it was typed. */
async function createInput(
  source: string,
  options: ImportOptions,
): Promise<InputOf<'suite.import'>> {
  const isElsewhere = options.server !== undefined && options.data === undefined;
  const locate = (path: string): string => (isElsewhere ? path : resolve(path));
  const named = (path: string | undefined, name: string): Record<string, string> =>
    path === undefined ? {} : { [name]: locate(path) };
  const { suite, distribution, components, architectures, keyring, sourceCa, checkData } = options;
  return {
    ...{
      suite,
      source: isUrl(source) ? source : locate(source),
      skipBad: options.skipBad === true,
    },
    ...(distribution === undefined ? {} : { distribution }),
    ...(components === undefined ? {} : { components }),
    ...(architectures === undefined ? {} : { architectures }),
    ...(checkData === undefined ? {} : { checkData }),
    ...(keyring === undefined
      ? {}
      : { keyring: (await readHere('--keyring', keyring)).toString('base64') }),
    ...(sourceCa === undefined
      ? {}
      : { sourceCa: (await readHere('--source-ca', sourceCa)).toString('utf8') }),
    ...named(options.signingKey, 'signingKey'),
    ...named(options.sourceCert, 'sourceCert'),
    ...named(options.sourceKey, 'sourceKey'),
  };
}

/** Asks how far it is until it is done; on a terminal alone. */
async function watch<Result>(
  performer: Performer,
  suite: string,
  work: Promise<Result>,
): Promise<Result> {
  if (!process.stderr.isTTY) return work;
  const bar = startBar('importing');
  const timer = setInterval(() => {
    performer.perform('import.list', {}).then(
      ({ imports }) => {
        const found = imports.find((one) => one.suite === suite);
        if (found) bar.show(found.done, found.total, `${found.done} of ${found.total} packages`);
      },
      () => {},
    );
  }, POLL_INTERVAL_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    bar.stop();
  }
}

function showImported(json: OutputOf<'suite.import'>): Shown {
  const { refused } = json;
  const rows: [string, string][] = [
    ['suite', json.suite],
    ['publication', String(json.publication)],
    ['added', String(json.added)],
    ['there already', String(json.present)],
    ['not accepted', String(refused.length)],
  ];
  const named = refused.map(({ file, why }) => `not accepted: ${file}: ${why}\n`).join('');
  return { json, text: `${renderPairs(rows)}${named}` };
}

const addOptions = (command: Command): Command =>
  command
    .requiredOption('--suite <name>', 'the suite; made with the identity of the source if missing')
    .option('--distribution <name>', 'which one of those under dists/ of the source')
    .option('--components <names>', 'these components alone', collectWords)
    .option(
      '--architectures <names>',
      'these architectures, and all; source for source packages',
      collectWords,
    )
    .option('--keyring <file>', 'who signs the source; a source on a server needs it')
    .option('--signing-key <file>', 'the secret key that its hosts know, to sign with from now on')
    .option('--source-ca <file>', 'with a URL: the CA of that server, PEM')
    .option('--source-cert <file>', 'with a URL: the certificate to show there, PEM')
    .option('--source-key <file>', 'with a URL: its private key, PEM')
    .option('--check-data', 'read data.tar of every package to its end')
    .option('--no-check-data', 'do not, even where no index vouches for the files')
    .option('--skip-bad', 'import the others where some packages are not accepted');

export function addImportCommand(program: Command): void {
  const leaf = {
    usage: 'import <source>',
    summary: 'bring a reprepro, aptly or other repository, or a folder of packages, into a suite',
    example: 'aptkeep import /srv/reprepro --suite bookworm --signing-key old-key.asc',
    options: addOptions,
    run: async (performer: Performer, options: LeafOptions, [source]: unknown[]) => {
      const input = await createInput(String(source), options as unknown as ImportOptions);
      const work = performer.perform('suite.import', input);
      return showImported(await watch(performer, input.suite, work));
    },
  };
  addLeaf(program, leaf);
}
