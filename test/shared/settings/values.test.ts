import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseListenAddress } from '../../../src/shared/net/listen-address.js';
import { editDistance, nearestKey } from '../../../src/shared/settings/nearest.js';
import { ValueError } from '../../../src/shared/settings/setting.js';
import { formatGoDuration, parseGoDuration } from '../../../src/shared/settings/values/duration.js';

test('durations read as Go reads them', () => {
  for (const [text, milliseconds] of [
    ['0', 0],
    ['1s', 1000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['1h30m', 5_400_000],
    ['1.5s', 1500],
    ['.5s', 500],
    ['1.s', 1000],
    ['-2s', -2000],
    ['+2s', 2000],
    ['250us', 0.25],
    ['250µs', 0.25],
    ['1000000ns', 1],
  ] as const) {
    assert.equal(parseGoDuration(text), milliseconds, text);
  }
  for (const text of ['', '5', '2fg', '1 s', 's', '.s', '1d', '--1s', '1e3s', '1s ', '9999999999h', '1S']) {
    assert.throws(() => parseGoDuration(text), ValueError, text);
  }
});

test('durations are written so that they read back the same', () => {
  for (const text of ['0s', '250ms', '1s', '90s', '5m', '24h']) {
    assert.equal(formatGoDuration(parseGoDuration(text)), text);
  }
});

test('listen addresses read as Go reads them', () => {
  assert.deepEqual(parseListenAddress(':8000'), { text: ':8000', host: undefined, port: 8000 });
  assert.deepEqual(parseListenAddress('localhost:0'), { text: 'localhost:0', host: 'localhost', port: 0 });
  assert.deepEqual(parseListenAddress('[::1]:9906'), { text: '[::1]:9906', host: '::1', port: 9906 });
  for (const text of ['', '8000', '::1:80', '[x]:1', 'a b:1', 'host:', 'host:65536', 'http://x:1']) {
    assert.throws(() => parseListenAddress(text), RangeError, text);
  }
});

test('the nearest key is the one with the fewest edits', () => {
  assert.equal(editDistance('kitten', 'sitting'), 3);
  assert.equal(editDistance('', 'abc'), 3);
  assert.equal(editDistance('ABC', 'abc'), 0);
  assert.deepEqual(nearestKey('p2p_prot', ['network', 'p2p_port']), { key: 'p2p_port', distance: 2 });
  assert.equal(nearestKey('x'.repeat(129), ['network']), undefined);
});
