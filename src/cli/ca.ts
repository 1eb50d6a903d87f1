/** `aptkeep ca`: the client CA and the server CA, and their rotation. Floor 9. */
import { type Command, Option } from 'commander';
import type { OutputOf } from '../operations/table.ts';
import { addLeaf, addNoun, type Shown } from './command.ts';
import { formatTime, renderTable } from './table.ts';

type Authority = OutputOf<'authority.list'>['authorities'][number];

/** Who still depends on the old one, in a sentence. */
export function describeFollowers(what: string, followers: readonly string[], end: string): string {
  const count = followers.length;
  if (count === 0) return `nobody depends on the old ${what} any more: ${end}`;
  const named = followers.slice(0, 5).join(', ');
  const who = count > 5 ? `${named} and ${count - 5} more` : named;
  return `${count} still depend${count === 1 ? 's' : ''} on the old ${what}: ${who}`;
}

function renderAuthorities(authorities: readonly Authority[]): string {
  const rows = authorities.flatMap(({ authority, current, other }) => [
    [authority, current.name, 'current', formatTime(current.notAfter), current.fingerprint],
    ...(other
      ? [[authority, other.name, other.state, formatTime(other.notAfter), other.fingerprint]]
      : []),
  ]);
  const table = renderTable(['CA', 'NAME', 'STATE', 'VALID UNTIL', 'SHA-256'], rows);
  const notes = authorities
    .filter((one) => one.other !== null)
    .map((one) => {
      const end = `end it with aptkeep ca rotate ${one.authority} --finish`;
      return `${describeFollowers(`${one.authority} CA`, one.followers, end)}\n`;
    });
  return notes.length > 0 ? `${table}\n${notes.join('')}` : table;
}

/** The second step of a rotation, of a CA and of the signing key alike. */
export function addFinishOptions(command: Command): void {
  command
    .option('--finish', 'end the overlap: what only the old one vouches for is refused')
    .addOption(
      new Option('--force', 'with --finish: also where somebody is locked out by it').implies({
        finish: true,
      }),
    );
}

const shown = (one: Authority): Shown => ({ json: one, text: renderAuthorities([one]) });

export function addCaCommands(program: Command): void {
  const ca = addNoun(program, 'ca', 'the two certificate authorities', 'aptkeep ca list');
  addLeaf(ca, {
    usage: 'list',
    summary: 'the client CA and the server CA, and how far their rotation is',
    example: 'aptkeep ca list',
    run: async (performer) => {
      const json = await performer.perform('authority.list', {});
      return { json, text: renderAuthorities(json.authorities) };
    },
  });
  addLeaf(ca, {
    usage: 'rotate <client-or-server>',
    summary: 'put a new CA beside the one there is; with --finish take the old one away',
    example: 'aptkeep ca rotate client',
    options: addFinishOptions,
    run: async (performer, options, [word]) => {
      const authority = String(word) as 'client' | 'server';
      if (!options.finish) return shown(await performer.perform('authority.rotate', { authority }));
      const force = options.force === true;
      return shown(await performer.perform('authority.finish', { authority, force }));
    },
  });
}
