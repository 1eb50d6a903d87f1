/**
 * `aptkeep manual`: the page aptkeep(1), written from the commands themselves so that it says what
 * the program does now. Source: man-pages(7), groff_man(7). Floor 9.
 */
import type { Command } from 'commander';
import { describeSettings, environmentNames } from '../config.ts';
import { addExample } from './command.ts';

/** Text as roff prints it: no line is taken for a request, no word for an escape. */
function escapeRoff(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^([.'])/gm, '\\&$1');
}

function renderCommand(command: Command, path: string): string[] {
  const visible = command.commands.filter((child) => child.name() !== 'help');
  const here = `${path} ${command.name()}`.trim();
  const verbs = visible.flatMap((child) => renderCommand(child, here));
  // A noun does nothing of its own, and takes no option.
  const isNoun = path === '' || command.options.length === 0;
  if (verbs.length > 0 && isNoun) return verbs;
  const words = command.registeredArguments.map((one) =>
    one.required ? `<${one.name()}${one.variadic ? '...' : ''}>` : `[${one.name()}]`,
  );
  return [
    `.SS ${escapeRoff([here, ...words].join(' '))}`,
    escapeRoff(command.description()),
    ...command.options
      .filter((option) => !option.hidden)
      .flatMap((option) => [
        '.TP',
        `.B ${escapeRoff(option.flags)}`,
        escapeRoff(option.description),
      ]),
    ...verbs,
  ];
}

function renderManual(program: Command): string {
  const settings = describeSettings().flatMap(({ key, fallback, purpose, allowed }) => [
    '.TP',
    `.BR ${escapeRoff(key)} ", " ${escapeRoff(environmentNames(key)[0] ?? '')}`,
    escapeRoff(`${purpose}; ${allowed}${fallback ? `; default ${fallback}` : ''}`),
  ]);
  return `${[
    `.TH APTKEEP 1 "" "${program.version()}" "User Commands"`,
    '.SH NAME',
    'aptkeep \\- a private, signed Debian package repository that only your machines can enter',
    '.SH SYNOPSIS',
    '.B aptkeep',
    '.I COMMAND',
    '[\\fIOPTION\\fR]...',
    '.SH DESCRIPTION',
    escapeRoff(program.description()),
    'Every command works on the data directory, through its private socket while a server runs there, or with',
    '.B \\-\\-server',
    'over mutual TLS with the role of that certificate.',
    '.SH COMMANDS',
    ...renderCommand(program, '').map((line) => line.replace('.SS aptkeep ', '.SS ')),
    '.SH CONFIGURATION',
    'A flag counts before the environment, the environment before',
    '.I aptkeep.yaml',
    'in the data directory, the file before the default.',
    ...settings,
    '.SH EXIT STATUS',
    '0 done, 1 refused or failed, 2 wrong usage.',
    '.SH SEE ALSO',
    '.BR apt\\-get (8),',
    '.BR sources.list (5),',
    '.BR apt_auth.conf (5)',
  ].join('\n')}\n`;
}

export function addManualCommand(program: Command): void {
  const command = program
    .command('manual')
    .description('the manual page aptkeep(1), on standard output')
    .action(() => {
      process.stdout.write(renderManual(program));
    });
  addExample(command, 'aptkeep manual | man -l -');
}
