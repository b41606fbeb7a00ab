/**
 * `docker`, `kubectl`, `helm` and the quickstart's `start.sh` as a page's commands find them. What needs an engine or a cluster is in the test's list, word
 * for word; of those kubectl and helm themselves look at the words. Everything else they do for real, and the others nothing.
 */

import { spawnSync } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place } from './place.js';
import { TOOLS } from './tools.js';

const { root, ports } = JSON.parse(process.env.PLACE ?? '') as Place;
const listed = JSON.parse(process.env.NOT_HERE ?? '[]') as readonly string[];
/** Those that are here. */
const CHECKED: ReadonlySet<string> = new Set(['kubectl', 'helm']);
const [program = '', ...args] = process.argv.slice(2);
// A page's words, whatever folders and ports the test has in their place.
let command = [program, ...args].join(' ').replaceAll(`${root}/`, '/');
for (const [documented, own] of Object.entries(ports))
  command = command.replaceAll(`:${own}`, `:${documented}`);

if (listed.includes(command)) {
  appendFileSync(join(root, 'run', 'not-here.log'), `${command}\n`);
  if (CHECKED.has(program)) {
    const end = args.indexOf('--');
    const words = end < 0 ? args : args.slice(0, end);
    const { status, stderr } = spawnSync(join(TOOLS, program), [...words, '--help'], { encoding: 'utf8' });
    process.stderr.write(stderr);
    process.exitCode = status ?? 1;
    // What is sent to it is read to its end.
    if (words.includes('-') && !process.stdin.isTTY) readFileSync(0);
  }
} else if (!CHECKED.has(program)) {
  process.stderr.write(`not in the list of what a test cannot run: ${command}\n`);
  process.exitCode = 1;
} else {
  const { status } = spawnSync(join(TOOLS, program), args, { stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
