import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutThese } from '../../src/shared/redaction.js';

test('of secrets that begin alike nothing is left, in whichever order they are named', () => {
  const text = 'invalid: key-of-the-node-2, key-of-the-node and key';
  for (const secrets of [
    ['key', 'key-of-the-node', 'key-of-the-node-2'],
    ['key-of-the-node-2', 'key', 'key-of-the-node'],
  ]) {
    assert.equal(withoutThese(text, secrets), 'invalid: [secret], [secret] and [secret]');
  }
});

test('a secret is looked for as it is, whatever its characters mean elsewhere, and what stands for one is not looked through again', () => {
  const printable = Array.from({ length: 94 }, (_, at) => String.fromCharCode(0x21 + at)).join('');
  assert.equal(withoutThese(`a${printable}b`, [printable]), 'a[secret]b');
  for (const secret of printable) assert.equal(withoutThese(`é${secret}é`, [secret]), 'é[secret]é');
  assert.equal(withoutThese('aXb', ['a.b', '$&', 'secret']), 'aXb');
  assert.equal(withoutThese('a.b', ['secret', 'a.b']), '[secret]');
  assert.equal(withoutThese('nothing', []), 'nothing');
});
