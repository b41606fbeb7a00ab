/** What shells offer at the tab key, in the shells themselves. */

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { completions } from '../../../src/main/cli/completion.js';
import { createProgram } from '../../../src/main/cli/program.js';
import { Terminal } from '../../../src/main/cli/terminal.js';
import { SETTINGS } from '../../../src/shared/settings/table.js';
import { temporaryDirectory } from '../../support/temporary.js';

/** A line as it is typed, and what may stand in place of its last word. */
const TYPED: readonly (readonly [string, readonly string[]])[] = [
  ['teranode-p2p st', ['start']],
  ['teranode-p2p unb', ['unban']],
  ['teranode-p2p settings ', ['show']],
  ['teranode-p2p settings show p2p_grpcL', ['p2p_grpcListenAddress']],
  ['teranode-p2p --set p2p_grpcL', ['p2p_grpcListenAddress=']],
  ['teranode-p2p --set network=te', ['network=testnet', 'network=teratestnet']],
  ['teranode-p2p --set network=testnet ch', ['check']],
  ['teranode-p2p start --set p2p_enable_nat=', ['p2p_enable_nat=true', 'p2p_enable_nat=false']],
  ['teranode-p2p tail --js', ['--json']],
  ['teranode-p2p tail --cursor ol', ['oldest']],
  ['teranode-p2p tail --since 1', ['10m', '1h']],
  ['teranode-p2p tail -k blo', ['block']],
  ['teranode-p2p tail --kind block,sub', ['block,subtree']],
  ['teranode-p2p watch --network ter', ['teratestnet']],
  ['teranode-p2p log-level de', ['debug']],
  ['teranode-p2p completion f', ['fish']],
];

/** Each prints `<line>` and what the shell was given for it, one a line, with an empty line behind. */
const SHELLS: Readonly<Record<string, (line: string) => string>> = {
  bash: (line) => `COMP_LINE='${line}'; COMP_POINT=\${#COMP_LINE}; COMPREPLY=(); _teranode_p2p 2> /dev/null
    printf '%s\\n' '${line}' "\${COMPREPLY[@]}" ''`,
  zsh: (line) =>
    `words=(${line.endsWith(' ') ? `${line}''` : line}); CURRENT=\${#words}; print -r -- '${line}'; _teranode_p2p; print`,
  fish: (line) => `echo '${line}'; complete -C '${line}'; echo`,
};
const BEFORE: Readonly<Record<string, (script: string) => string>> = {
  bash: (script) => `source ${script}`,
  // Outside of a completion these are not to be had: what is handed to them is printed.
  zsh: (script) =>
    `compdef() {}; _files() { }; compadd() { for one in "$@"; do [[ -z $one || $one == -S || $one == -- ]] || print -r -- $one; done }; source ${script}`,
  fish: (script) => `source ${script}`,
};

test('the program knows what may follow, out of its table of commands and settings', () => {
  const program = createProgram(new Terminal());
  for (const [line, expected] of TYPED) {
    assert.deepEqual(completions(program, line.split(' ').slice(1)), expected, line);
  }
  const commands = completions(program, ['']);
  assert.deepEqual(
    commands.toSorted(),
    program
      .createHelp()
      .visibleCommands(program)
      .map((one) => one.name())
      .toSorted(),
  );
  assert.equal(completions(program, ['settings', 'show', '']).length, Object.keys(SETTINGS).length);
  assert.deepEqual(completions(program, ['devnet', '--data', '']), []);
  assert.deepEqual(completions(program, ['tail', '--in']), ['--insecure']);
});

for (const [shell, ask] of Object.entries(SHELLS)) {
  // Bash is everywhere where these tests run; the others where somebody has them.
  if (shell !== 'bash' && spawnSync(shell, ['-c', 'true']).status !== 0) continue;
  test(`${shell} offers it`, (context) => {
    const directory = temporaryDirectory(context);
    const bin = join(directory, 'bin');
    mkdirSync(bin);
    symlinkSync(resolve('bin/teranode-p2p.mjs'), join(bin, 'teranode-p2p'));
    const env = { ...process.env, HOME: directory, PATH: `${bin}:${process.env.PATH}` };
    const script = join(directory, 'script');
    writeFileSync(script, execFileSync('teranode-p2p', ['completion', shell], { env }));
    const asking = [BEFORE[shell]?.(script), ...TYPED.map(([line]) => ask(line))].join('\n');
    const args = shell === 'zsh' ? ['-f', '-c', asking] : ['-c', asking];
    const said = execFileSync(shell, args, { env, encoding: 'utf8', timeout: 120_000 });
    const answers = said
      .trim()
      .split('\n\n')
      .map((block) => block.split('\n'));
    for (const [line, expected] of TYPED) {
      const [, ...offered] = answers.find(([asked]) => asked === line.trim() || asked === line) ?? [];
      // Bash takes an equals sign for the beginning of a word; fish puts them in order.
      const wanted =
        shell === 'bash' && line.includes('=') && !line.endsWith(' ch')
          ? expected.map((one) => one.replace(/^.*=/, ''))
          : expected;
      assert.deepEqual(offered.map((one) => one.split('\t')[0]).toSorted(), wanted.toSorted(), line);
    }
  });
}

test('bash offers what it was given, whatever files are named', (context) => {
  const directory = temporaryDirectory(context);
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  symlinkSync(resolve('bin/teranode-p2p.mjs'), join(bin, 'teranode-p2p'));
  const env = { ...process.env, PATH: `${bin}:${process.env.PATH}` };
  writeFileSync(join(directory, 'mine,block'), '');
  const line = 'teranode-p2p tail --kind *,blo';
  const asking = `source <(teranode-p2p completion bash); ${SHELLS.bash?.(line)}`;
  const said = execFileSync('bash', ['-c', asking], {
    cwd: directory,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.deepEqual(said.trim().split('\n'), [line, '*,block']);
});
