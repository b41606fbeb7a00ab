/** `teranode-p2p completion`: what a shell offers at the tab key, out of the table of commands. */

import { Argument, Command, type Option } from 'commander';
import { SETTINGS, type Setting } from '../../shared/settings/table.js';
import { FEED_KINDS } from './frame-printer.js';
import type { Terminal } from './terminal.js';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'];

/** Values of options, by their long names, and of arguments, by `<command>`, that commander's table does not have. */
const VALUES: Readonly<Record<string, (current: string) => readonly string[]>> = {
  '--set': assignments,
  '--kind': lastOf(FEED_KINDS),
  '--cursor': () => ['oldest', 'now'],
  '--since': () => ['10m', '1h', '24h'],
  '--log-level': () => LEVELS,
  '--from': () => ['oldest', 'newest'],
  show: () => Object.keys(SETTINGS),
  records: () => ['blocks', 'subtrees', 'rejectedtx'],
};

/** `key=`, and after it the values where those are known. */
function assignments(current: string): readonly string[] {
  const [key = '', ...value] = current.split('=');
  if (value.length === 0) return Object.keys(SETTINGS).map((name) => `${name}=`);
  const setting = (SETTINGS as Readonly<Record<string, Setting>>)[key];
  const values = setting?.choices ?? (setting?.type === 'boolean' ? ['true', 'false'] : []);
  return values.map((one) => `${key}=${one}`);
}

/** Of a list with commas the last entry is completed. */
function lastOf(values: readonly string[]): (current: string) => readonly string[] {
  return (current) => {
    const before = current.slice(0, current.lastIndexOf(',') + 1);
    return values.map((value) => before + value);
  };
}

/** What may stand in place of the last of `words`, which follow the program's name. */
export function completions(program: Command, words: readonly string[]): string[] {
  const current = words.at(-1) ?? '';
  let command = program;
  let wanting: Option | undefined;
  for (const word of words.slice(0, -1)) {
    if (wanting !== undefined) wanting = undefined;
    else if (word.startsWith('-')) wanting = wantingValue(command, program, word);
    else command = command.commands.find((one) => one.name() === word) ?? command;
  }
  return offered(program, command, wanting, current).filter((one) => one.startsWith(current));
}

function offered(
  program: Command,
  command: Command,
  wanting: Option | undefined,
  current: string,
): readonly string[] {
  if (wanting !== undefined) return wanting.argChoices ?? VALUES[wanting.long ?? '']?.(current) ?? [];
  if (current.startsWith('-')) {
    const flags = [...optionsOf(command), ...(command === program ? [] : optionsOf(program))];
    return [...flags.flatMap(({ long }) => long ?? []), '--help'];
  }
  const visible = command.createHelp().visibleCommands(command);
  const named = visible.map((one) => one.name()).filter((name) => name !== 'help' || command === program);
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  return [...named, ...choices, ...(VALUES[command.name()]?.(current) ?? [])];
}

const optionsOf = ({ options }: Command) => options.filter(({ hidden }) => !hidden);

/** The option that `word` is, where its value is the next word. */
function wantingValue(command: Command, program: Command, word: string): Option | undefined {
  const option = [...command.options, ...program.options].find(
    ({ short, long }) => word === short || word === long,
  );
  return option?.required ? option : undefined;
}

/** Asks the program itself: it knows its commands, and a script that was made once does not grow old. */
const SCRIPTS: Readonly<Record<Shell, string>> = {
  bash: `_teranode_p2p() {
  local IFS=$' \t\n' line="\${COMP_LINE:0:COMP_POINT}" words current word
  read -ra words <<< "$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  current="\${words[\${#words[@]}-1]}"
  IFS=$'\n'
  COMPREPLY=()
  while read -r word; do COMPREPLY+=("$word"); done < <("\${words[0]}" completion words -- "\${words[@]:1}" 2> /dev/null)
  # Bash completes what is behind the equals sign alone.
  [[ "$current" == *=* ]] && COMPREPLY=("\${COMPREPLY[@]#"\${current%=*}="}")
  [[ "\${COMPREPLY[0]}" == *= ]] && compopt -o nospace 2> /dev/null
  return 0
}
complete -o default -F _teranode_p2p teranode-p2p`,
  zsh: `#compdef teranode-p2p
_teranode_p2p() {
  local -a found
  found=("\${(@f)$("\${words[1]}" completion words -- "\${(@)words[2,CURRENT]}" 2> /dev/null)}")
  found=(\${found:#})
  if (( \${#found} == 0 )); then
    _files
  else
    compadd -S '' -- \${(M)found:#*=}
    compadd -- \${found:#*=}
  fi
}
if [[ "\${funcstack[1]}" == _teranode_p2p ]]; then
  _teranode_p2p "$@"
else
  compdef _teranode_p2p teranode-p2p
fi`,
  fish: `function __teranode_p2p
  set -l words (commandline -opc)
  $words[1] completion words -- $words[2..] (commandline -ct) 2> /dev/null
end
complete -c teranode-p2p -f -a '(__teranode_p2p)'`,
};

const INSTALL = `
Install:
  bash  $ teranode-p2p completion bash >> ~/.bashrc
  zsh   $ teranode-p2p completion zsh > "\${fpath[1]}/_teranode-p2p"
  fish  $ teranode-p2p completion fish > ~/.config/fish/completions/teranode-p2p.fish`;

export function completionCommand(program: Command, terminal: Terminal): Command {
  const command = new Command('completion')
    .copyInheritedSettings(program)
    .description('Print what makes a shell complete commands, options and settings.')
    .addArgument(new Argument('<shell>').choices(SHELLS))
    .addHelpText('after', INSTALL)
    .action((shell: Shell) => terminal.raw(SCRIPTS[shell]));
  command
    .command('words', { hidden: true })
    .description('What may stand in place of the last word.')
    .argument('[words...]')
    .action((words: string[]) => {
      for (const word of completions(program, words)) terminal.raw(word);
    });
  return command;
}
