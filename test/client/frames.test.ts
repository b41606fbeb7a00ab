import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { frameTypes } from '../../src/shared/firehose/frame-types.js';

test('the library has the frames’ types as the server has its frames', () => {
  assert.equal(readFileSync('client/src/frames.ts', 'utf8'), frameTypes(), 'run npm run docs:settings');
});
