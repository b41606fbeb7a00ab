import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { readmeBlocks } from '../support/readme.js';

test('the program of the README is that of the library’s own', () => {
  const [program = ''] = readmeBlocks('js');
  assert.match(program, /from 'teranode-p2p-feed'/);
  const [, own] = /```js\n([\s\S]*?)```/.exec(readFileSync('client/README.md', 'utf8')) ?? [];
  assert.equal(program, own);
});
