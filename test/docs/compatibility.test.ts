import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { NOT_READ } from '../../src/shared/settings/not-read.js';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { withPlaceTable } from '../place/rows.js';

const ROOT = new URL('../../../', import.meta.url);
const PAGE = readFileSync(new URL('docs/compatibility.md', ROOT), 'utf8');
test('the table of what is seen in the service’s place is that which the test walks', () => {
  assert.equal(PAGE, withPlaceTable(PAGE), 'run npm run docs:settings');
});

/** The tables between a heading and the next of its rank, without their heads: their cells. */
function tableUnder(heading: string): string[][] {
  const from = PAGE.indexOf(`\n${heading}\n`);
  assert.ok(from >= 0, heading);
  const [section = ''] = PAGE.slice(from + heading.length + 2).split(/\n##+ /);
  const lines = section.split('\n').filter((line) => /^\| (?!settings? |---)/.test(line));
  return lines.map((line) => line.split('|').slice(1, -1));
}
const keysIn = (cell = ''): string[] => [...cell.matchAll(/`(\w+)`/g)].map(([, key = '']) => key);

test('every setting that Go has is in one row, which names a test that speaks of the row’s settings', () => {
  const rows = tableUnder('## Settings');
  const own = (key: string) =>
    (SETTINGS as Record<string, { doc: string }>)[key]?.doc.includes('(this server');
  // Ours, though not marked: they choose between generations of Go's service.
  const choosing = ['p2p_generation', 'p2p_payload_framing', 'kafka_record_format'];
  const gos = Object.keys(SETTINGS).filter((key) => !own(key) && !choosing.includes(key));
  const listed = rows.flatMap(([keys]) => keysIn(keys));
  assert.deepEqual([...listed].sort(), gos.sort());
  for (const [keys, state, tests] of rows) {
    assert.notEqual(state?.trim(), '', keys);
    const named = [...(tests ?? '').matchAll(/`([\w/-]+\.test\.ts)`/g)].map(([, path = '']) =>
      readFileSync(new URL(`test/${path}`, ROOT), 'utf8'),
    );
    assert.ok(named.length > 0, keys);
    assert.ok(
      keysIn(keys).some((key) => named.some((text) => text.includes(key))),
      keys,
    );
  }
});

test('what is said not to be read is not, and what is named in its place is there', () => {
  const rows = tableUnder('### Not read');
  assert.ok(rows.length > 8);
  assert.deepEqual(rows.flatMap(([keys]) => keysIn(keys)).sort(), [...NOT_READ].sort());
  for (const [keys, instead] of rows) {
    for (const key of keysIn(keys)) assert.ok(!Object.hasOwn(SETTINGS, key), key);
    for (const key of keysIn(instead)) assert.ok(Object.hasOwn(SETTINGS, key), key);
  }
});
