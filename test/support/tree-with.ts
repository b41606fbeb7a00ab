/** The server with message kinds and parameters that it does not have, added as `CONTRIBUTING.md` says: a file and a line in each table, or a row. */

import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type CleansUp, temporaryDirectory } from './temporary.js';

/** A file of `test/support/made-up/`. */
export interface MadeUp {
  readonly file: string;
  /** What of it is a kind. */
  readonly kind: string;
  /** What of it is a Kafka topic, where it has one. */
  readonly topic?: string;
}

export const SIGHTING: MadeUp = { file: 'sighting', kind: 'sighting', topic: 'sightings' };
export const TRAP: MadeUp = { file: 'trap', kind: 'trap' };

/** Within the tree, the source and what the compiler makes of it: where a made-up file is, where the server's are, and how they end. */
const FORMS = [
  ['test/support/made-up', 'src', 'ts'],
  ['dist/test/support/made-up', 'dist/src', 'js'],
] as const;

/** A copy of the checkout, compiled, with `added` in it: its path. Gone when the test has ended. */
export function treeWith(context: CleansUp, ...added: readonly MadeUp[]): string {
  const tree = temporaryDirectory(context);
  for (const name of ['client', 'node_modules', 'package.json', 'proto'])
    symlinkSync(resolve(name), join(tree, name));
  cpSync('bin', join(tree, 'bin'), { recursive: true });
  cpSync('src', join(tree, 'src'), { recursive: true });
  cpSync('dist/src', join(tree, 'dist/src'), {
    recursive: true,
    filter: (path) => !/\.(?:d\.ts|map)$/.test(path),
  });
  // The page is served with it.
  cpSync('dist/app/page', join(tree, 'dist/app/page'), { recursive: true });
  for (const { file, kind, topic } of added) {
    for (const [from, to, suffix] of FORMS) {
      const messages = join(tree, to, 'shared', 'messages');
      const text = readFileSync(join(from, `${file}.${suffix}`), 'utf8');
      writeFileSync(
        join(messages, `${file}.${suffix}`),
        text.replaceAll('../../../src/shared/messages/', './').replaceAll('../../../src/shared/', '../'),
      );
      // The compiler leaves no end of a line behind its last.
      const line = (name: string): string => `\nexport { ${name} } from './${file}.js';\n`;
      appendFileSync(join(messages, `kinds.${suffix}`), line(kind));
      if (topic !== undefined) appendFileSync(join(messages, `announced-topics.${suffix}`), line(topic));
    }
  }
  return tree;
}

/** Puts a row of the feed's parameters, as it stands in the source, in front of those of a tree. */
export function addParameter(tree: string, row: string): void {
  for (const [, to, suffix] of FORMS) {
    const path = join(tree, to, 'shared', 'firehose', `parameters.${suffix}`);
    const text = readFileSync(path, 'utf8');
    const begin = /^export const PARAMETERS.* = \[$/m;
    if (!begin.test(text)) throw new Error(`${path} has no table of parameters`);
    writeFileSync(
      path,
      text.replace(begin, (line) => `${line}\n${row}`),
    );
  }
}

/** Makes of a tree the program that is shipped, so that its `bin/teranode-p2p.mjs` runs. */
export function bundleTree(tree: string): void {
  execFileSync(process.execPath, [join('bin', 'bundle.mjs')], { cwd: tree, stdio: 'pipe' });
}

/** Throws with the compiler's words where the source of a tree has a fault of types. */
export function checkTree(tree: string): void {
  const config = {
    extends: resolve('tsconfig.json'),
    compilerOptions: { rootDir: '.', noEmit: true, incremental: false },
    include: ['src'],
  };
  writeFileSync(join(tree, 'tsconfig.json'), JSON.stringify(config));
  try {
    execFileSync(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'], {
      cwd: tree,
      encoding: 'utf8',
    });
  } catch (error) {
    throw new Error(String((error as { stdout?: string }).stdout).trim());
  }
}

/** The checkers' program of a tree. */
export function checkerOf(tree: string): URL {
  return pathToFileURL(join(tree, 'dist', 'src', 'workers', 'checker.js'));
}
