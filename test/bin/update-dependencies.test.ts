/** `npm run update` and what `npm run lint` asks of it, on a made-up library below a made-up patch. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.js';

const TABLE = `export interface Row { readonly off?: string }
export const PATCHES = {
  quietCat: {
    reason: 'it barks',
    off: 'it barks',
    leansOn: { cat: { 'cat.js': ['speak('], 'tail.js': [] } },
    tests: ['cat'],
  },
} as const satisfies Record<string, Row>;
`;
const library = (sound: string, besides = '1') => `export class Cat {
    ears() {
        return ${besides};
    }
    speak() {
        return '${sound}';
    }
}
`;

/** A checkout of its own with one patch, and the library as version 1.0.0 has it, accepted. */
function checkout(context: TestContext) {
  const root = temporaryDirectory(context);
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  const install = (version: string, text: string): void => {
    write('node_modules/cat/package.json', JSON.stringify({ name: 'cat', version }));
    write('node_modules/cat/cat.js', text);
    write('node_modules/cat/tail.js', 'long');
  };
  for (const name of ['update-dependencies.mjs', 'library-texts.mjs'])
    cpSync(`bin/${name}`, join(root, 'bin', name));
  for (const name of ['esbuild', '@esbuild']) {
    mkdirSync(join(root, 'node_modules'), { recursive: true });
    symlinkSync(resolve('node_modules', name), join(root, 'node_modules', name));
  }
  write('src/main/node/patches/index.ts', TABLE);
  write('src/main/node/patches/quiet-cat.ts', '');
  write('test/cat.test.ts', '');
  install('1.0.0', library('miaow'));
  const run = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
    spawnSync(process.execPath, ['bin/update-dependencies.mjs', ...args], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
  assert.equal(run(['--accept']).status, 0);
  return { root, write, install, run };
}

test('a library is as it was read until a method that a patch leans on changes, and then the patch and its tests are told', (context) => {
  const { install, run, write } = checkout(context);
  assert.deepEqual([run(['--check']).status, run(['--check']).stderr], [0, '']);
  install('1.0.1', library('miaow', '2'));
  assert.equal(run(['--check']).status, 0, 'a method beside it');
  install('1.1.0', library('purr'));
  const { status, stderr } = run(['--check']);
  assert.equal(status, 1);
  assert.match(stderr, /quietCat .*tests cat\n/);
  assert.match(stderr, /cat\/cat\.js, speak\(…\) has changed, 1\.0\.0 → 1\.1\.0/);
  assert.match(stderr, /npm diff --diff=cat@1\.0\.0 --diff=cat@1\.1\.0 cat\.js/);
  assert.doesNotMatch(stderr, /tail\.js/);
  assert.equal(run(['--accept']).status, 0);
  assert.equal(run(['--check']).status, 0);
  write('node_modules/cat/cat.js', 'export class Cat {}\n');
  assert.match(run(['--check']).stderr, /speak\(…\) is gone/);
});

test('an update shows what is new in what the patches lean on, line by line', (context) => {
  const { root, run, write } = checkout(context);
  // In place of npm.
  write(
    'path/npm',
    `#!/usr/bin/env node
const { readFileSync, writeFileSync } = require('node:fs');
writeFileSync('asked', process.argv.slice(2).join(' '));
writeFileSync('node_modules/cat/package.json', JSON.stringify({ name: 'cat', version: '2.0.0' }));
writeFileSync('node_modules/cat/cat.js', readFileSync('node_modules/cat/cat.js', 'utf8').replace('miaow', 'purr'));
`,
  );
  spawnSync('chmod', ['+x', join(root, 'path/npm')]);
  const { status, stderr } = run(['cat@2.0.0'], { PATH: `${join(root, 'path')}:${process.env.PATH}` });
  assert.equal(readFileSync(join(root, 'asked'), 'utf8'), 'install --save-exact cat@2.0.0');
  assert.equal(status, 1);
  assert.match(stderr, /^-.*miaow/m);
  assert.match(stderr, /^\+.*purr/m);
  assert.doesNotMatch(stderr, /ears/);
  assert.match(stderr, /npm run update -- --accept/);
});

test('a patch without its file or its test, and a file in no row of the table, are refused', (context) => {
  const { run, write } = checkout(context);
  write('src/main/node/patches/loud-dog.ts', '');
  assert.match(run(['--check']).stderr, /loud-dog\.ts is in no row/);
  write(
    'src/main/node/patches/index.ts',
    TABLE.replace("tests: ['cat']", "tests: ['dog']").replace('quietCat', 'quickCat'),
  );
  const { status, stderr } = run(['--check']);
  assert.equal(status, 1);
  assert.match(stderr, /quick-cat\.ts is missing/);
  assert.match(stderr, /quickCat: there is no test dog/);
});
