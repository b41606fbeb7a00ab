// Everything that `npm run lint` looks at, at once: each check is a row. What a check printed is shown where it failed, and all are run whatever one of them says.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
/** What is looked at, and the command of `node_modules/.bin`, or the file for `node`, that does. */
const CHECKS = [
  ['format, habits and the import rule', 'biome', 'check', '.'],
  ['no circles of imports', 'lint/circles.mjs'],
  ['files and exports that somebody imports', 'knip', '--no-progress', '--config', 'lint/knip.mjs'],
  [
    'exports that the product has a use for',
    'knip',
    '--no-progress',
    '--config',
    'lint/knip.mjs',
    '--production',
  ],
  ['what the pages name is there', 'lint/docs.mjs'],
  ['mutants apply', 'test/mutants/run.mjs', '--check'],
  ['libraries as the patches know them', 'bin/update-dependencies.mjs', '--check'],
  ['spelling', 'cspell', 'lint', '--config', 'lint/cspell.json', '--no-progress'],
];

async function run([what, command, ...rest]) {
  const [program, args] = command.endsWith('.mjs')
    ? [process.execPath, [command, ...rest]]
    : [`${root}node_modules/.bin/${command}`, rest];
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => said.push(chunk));
  const error = await Promise.race([once(child, 'close').then(([code]) => code), once(child, 'error')]).catch(
    (reason) => reason,
  );
  const failed = error !== 0;
  process.stdout.write(`${failed ? '✗' : '✓'} ${what}\n${failed ? `${Buffer.concat(said)}\n` : ''}`);
  if (error instanceof Error) process.stdout.write(`${error.message}\n`);
  return failed;
}

const failed = await Promise.all(CHECKS.map(run));
process.exitCode = failed.includes(true) ? 1 : 0;
