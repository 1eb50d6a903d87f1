/** The command line: every noun on one screen, and how it ends. Floor 9. */
import { Command, CommanderError } from 'commander';
import { systemCode } from '../errors.ts';
import { addAuditCommands } from './audit.ts';
import { addBackupCommands } from './backup.ts';
import { addCaCommands } from './ca.ts';
import { addCertCommands } from './cert.ts';
import { addCheckCommand } from './check-command.ts';
import { addCompletionCommand } from './completion.ts';
import { addConfigCommands } from './config-command.ts';
import { addCrlCommands } from './crl.ts';
import { addDputProxyCommand } from './dput/dput-proxy.ts';
import { describeFailure } from './exit.ts';
import { addExportCommand } from './export.ts';
import { addGroupCommands } from './group.ts';
import { addHostCommands } from './host.ts';
import { addImportCommand } from './import.ts';
import { addKeyCommands } from './key.ts';
import { addManualCommand } from './manual.ts';
import { addPackageCommands } from './package.ts';
import { addServeCommands } from './serve.ts';
import { addSignerCommands } from './signer.ts';
import { addStatusCommands } from './status.ts';
import { addSuiteCommands } from './suite.ts';
import { addSweepCommand } from './sweep.ts';
import { addUploadCommand } from './upload.ts';
import { readVersion } from './version.ts';

/** Every command obeys the same manners; commander copies none of this to commands made later. */
function applyManners(command: Command): void {
  command.exitOverride().configureOutput({
    outputError: (text, write) => write(text.replace(/^error: /, 'aptkeep: wrong usage: ')),
  });
  for (const child of command.commands) applyManners(child);
}

export function createProgram(): Command {
  const program = new Command('aptkeep')
    .description('A private, signed Debian package repository that only your machines can enter.')
    .version(`aptkeep ${readVersion()}`, '--version', 'print the version')
    .helpOption('--help', 'print help');
  addServeCommands(program);
  addConfigCommands(program);
  addStatusCommands(program);
  addAuditCommands(program);
  addCertCommands(program);
  addCaCommands(program);
  addCrlCommands(program);
  addSuiteCommands(program);
  addUploadCommand(program);
  addDputProxyCommand(program);
  addPackageCommands(program);
  addSweepCommand(program);
  addCheckCommand(program);
  addBackupCommands(program);
  addImportCommand(program);
  addExportCommand(program);
  addKeyCommands(program);
  addSignerCommands(program);
  addHostCommands(program);
  addGroupCommands(program);
  addCompletionCommand(program);
  addManualCommand(program);
  program.addHelpText(
    'after',
    '\nExample:\n  aptkeep serve --data /srv/aptkeep\n\nSee aptkeep COMMAND --help for each command.',
  );
  applyManners(program);
  return program;
}

/** Whoever reads our output may stop before its end, as head(1) does: that is no failure. */
function watchOutput(): void {
  process.stdout.on('error', (error) => {
    if (systemCode(error) === 'EPIPE') return;
    process.stderr.write(`aptkeep: standard output: ${error.message}\n`);
    process.exitCode = 1;
  });
}

/** Runs one command line; sets the exit status: 0 done, 1 refused or failed, 2 wrong usage. */
export async function runProgram(words: readonly string[]): Promise<void> {
  watchOutput();
  try {
    await createProgram().parseAsync(words, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? 0 : 2;
      return;
    }
    const { message, status } = describeFailure(error);
    process.stderr.write(`${message}\n`);
    process.exitCode = status;
  }
}
