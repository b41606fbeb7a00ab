/**
 * The mutants: each `test/mutants/<name>.patch` says on its first line what it breaks, on its second, behind `Tests: `, which
 * test files (below `test/`, without `.test.ts`) must go red, and is a diff of one line.
 */

import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Seen from the root of the checkout, which is the working directory of everything here. */
const PATCHES = join('test', 'mutants');
const SUFFIX = '.patch';
const TESTS = 'Tests: ';

/**
 * @typedef {object} Mutant
 * @property {string} name
 * @property {string} breaks A sentence.
 * @property {readonly string[]} tests Paths below `test/` without `.test.ts`; the fewest and fastest that notice.
 * @property {string} file The file that it changes.
 * @property {string} before The lines that it looks for in that file, context included.
 * @property {string} path Absolute path of the patch.
 */

/** Names of all mutants, sorted. */
export function mutantNames() {
  return readdirSync(PATCHES)
    .filter((file) => file.endsWith(SUFFIX))
    .map((file) => file.slice(0, -SUFFIX.length))
    .sort();
}

/** Reads a mutant. Throws where its patch is not as it should be.
 * @returns {Mutant}
 */
export function readMutant(name) {
  const path = resolve(PATCHES, name + SUFFIX);
  const [breaks = '', tests = '', from = '', to = '', ...hunks] = readFileSync(path, 'utf8').split('\n');
  const refuse = (problem) => new Error(`${name}${SUFFIX}: ${problem}`);
  if (!/^[A-Z].*\.$/.test(breaks)) throw refuse('its first line is no sentence');
  if (!tests.startsWith(TESTS)) throw refuse(`its second line does not begin with "${TESTS}"`);
  const file = /^--- a\/((?:client\/)?src\/\S+)$/.exec(from)?.[1];
  if (file === undefined || to !== `+++ b/${file}`)
    throw refuse('it does not change one file below src/ or client/src/');
  if (hunks.filter((line) => line.startsWith('@@ ')).length !== 1) throw refuse('it has not one hunk');
  const lines = hunks.slice(1).filter((line) => line !== '');
  const removed = lines.filter((line) => line.startsWith('-'));
  const added = lines.filter((line) => line.startsWith('+'));
  if (removed.length !== 1 || added.length > 1) throw refuse('it is not a change of one line');
  return {
    name,
    breaks,
    tests: tests.slice(TESTS.length).split(' '),
    file,
    before: lines
      .filter((line) => !line.startsWith('+'))
      .map((line) => `${line.slice(1)}\n`)
      .join(''),
    path,
  };
}

/**
 * Applies a mutant's patch to the copy of the checkout in `tree`, which need not be a repository. `--check` only looks
 * whether it applies; `-R` takes it back. Throws with what git says.
 */
export function applyMutant({ path }, tree, option) {
  // A repository around the tree would take the patch for its own and leave out what is not in it.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(resolve(tree)) };
  const args = ['apply', ...(option === undefined ? [] : [option]), path];
  execFileSync('git', args, { cwd: tree, env, stdio: 'pipe' });
}

/** What is wrong with the mutants as they are written, without trying one. */
export function mutantProblems() {
  const problems = [];
  const breaking = new Map();
  for (const name of mutantNames()) {
    try {
      const mutant = readMutant(name);
      const other = breaking.get(mutant.breaks);
      if (other !== undefined) throw new Error(`breaks what ${other} breaks`);
      breaking.set(mutant.breaks, name);
      for (const test of mutant.tests)
        if (!existsSync(`test/${test}.test.ts`)) throw new Error(`there is no test ${test}`);
      const places = readFileSync(mutant.file, 'utf8').split(mutant.before).length - 1;
      if (places !== 1) throw new Error(`${mutant.file} has the lines around the change ${places} times`);
      applyMutant(mutant, '.', '--check');
    } catch (error) {
      problems.push(`${name}: ${error.message}`);
    }
  }
  return problems;
}
