// What the npm scripts call: makes the checkout ready, then runs one of its programs in this process, so that signals and
// the exit code are that program's own. `npm start` is `bootstrap.mjs devnet`.
import { checkNodeVersion } from './node-version.mjs';

checkNodeVersion(process.versions.node);

const root = new URL('../', import.meta.url);
const { fileURLToPath, pathToFileURL } = await import('node:url');
const { PrepareError, prepare } = await import('./prepare.mjs');

const [command = 'devnet', ...args] = process.argv.slice(2);
const PROGRAMS = {
  test: 'dist/test/run.js',
  bench: 'dist/bench/run.js',
  mutants: 'test/mutants/run.mjs',
};

const interrupt = () => process.exit(130);
process.on('SIGINT', interrupt);
try {
  await prepare(fileURLToPath(root));
} catch (error) {
  console.error(error instanceof PrepareError ? `\n${error.message}` : error);
  process.exit(1);
}
process.off('SIGINT', interrupt);

if (command !== 'prepare') {
  const program = PROGRAMS[command];
  const path = fileURLToPath(new URL(program ?? 'dist/app/main/cli/index.js', root));
  process.argv = [process.execPath, path, ...(program === undefined ? [command, ...args] : args)];
  if (program !== undefined) process.chdir(fileURLToPath(root));
  await import(pathToFileURL(path).href);
}
