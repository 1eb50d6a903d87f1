/** `aptkeep completion`: what a shell completes, read from the commands themselves. Floor 9. */
import { Argument, type Command } from 'commander';
import { addExample } from './command.ts';

/** `''` and `cert` and `cert issue` -> the words that may follow. */
function listWords(command: Command, path: string, into: Map<string, string[]>): void {
  const visible = command.commands.filter((child) => child.name() !== 'help');
  const flags = command.options.map((option) => option.long ?? '').filter(Boolean);
  into.set(path, [...visible.map((child) => child.name()), ...flags, '--help']);
  for (const child of visible)
    listWords(child, path ? `${path} ${child.name()}` : child.name(), into);
}

function renderBash(words: Map<string, string[]>): string {
  const paths = [...words.keys()].filter(Boolean).map((path) => `'${path}'`);
  const cases = [...words].map(([path, next]) => `    '${path}') words='${next.join(' ')}' ;;`);
  return `# bash completion for aptkeep
_aptkeep() {
  local current=\${COMP_WORDS[COMP_CWORD]} path= word words=
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "\${path:+$path }$word" in
      ${paths.join('|')}) path="\${path:+$path }$word" ;;
    esac
  done
  case $path in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ \${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$current"))
}
complete -o filenames -F _aptkeep aptkeep
`;
}

export function addCompletionCommand(program: Command): void {
  const shells = new Argument('<shell>', 'for which shell').choices(['bash', 'zsh']);
  const command = program
    .command('completion')
    .description('what makes a shell complete the commands')
    .addArgument(shells)
    .action((shell: string) => {
      const words = new Map<string, string[]>();
      listWords(program, '', words);
      const bash = renderBash(words);
      const zsh = `#compdef aptkeep\nautoload -U +X bashcompinit && bashcompinit\n${bash}`;
      process.stdout.write(shell === 'bash' ? bash : zsh);
    });
  addExample(command, 'aptkeep completion bash > /etc/bash_completion.d/aptkeep');
}
