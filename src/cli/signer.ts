/** `aptkeep signer`: the OpenPGP keys whose signature a suite may ask for. Floor 9. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { RefusalError, systemCode } from '../errors.ts';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { formatTime, renderTable } from './table.ts';

function showSigners(json: OutputOf<'signer.list'>): Shown {
  const rows = json.signers.map((one) => [
    one.fingerprint,
    one.userId,
    one.fault ?? 'good',
    one.expires === null ? 'never' : formatTime(one.expires),
    one.suites.join(' ') || '-',
  ]);
  const heading = ['FINGERPRINT', 'USER ID', 'STATE', 'EXPIRES', 'SUITES'];
  return { json, text: renderTable(heading, rows) };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new RefusalError('FILE_UNREADABLE', `${file}: ${systemCode(error)}`);
  }
}

export function addSignerCommands(program: Command): void {
  const signer = addNoun(
    program,
    'signer',
    'OpenPGP keys whose signature a suite may ask for',
    'aptkeep signer list',
  );
  addLeaf(signer, {
    usage: 'add <file>',
    summary: 'record the public keys of an armoured keyring; again, to renew them',
    example: 'aptkeep signer add maintainers.asc && aptkeep suite set stable --signers 0123…CDEF',
    run: async (performer, _options, [file]) =>
      showSigners(await performer.perform('signer.add', { keyring: await readText(String(file)) })),
  });
  addLeaf(signer, {
    usage: 'list',
    summary: 'every key, and the suites that ask for it',
    example: 'aptkeep signer list',
    run: async (performer) => showSigners(await performer.perform('signer.list', {})),
  });
  addLeaf(signer, {
    usage: 'remove <fingerprint>',
    summary: 'forget a key that no suite names',
    example: 'aptkeep signer remove 0123456789ABCDEF0123456789ABCDEF01234567',
    run: async (performer, _options, [word]) => {
      const json = await performer.perform('signer.remove', { signer: String(word) });
      return { json, text: `removed ${json.signer}\n` };
    },
  });
}
