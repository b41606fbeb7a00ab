import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { NOT_READ } from '../../src/shared/settings/not-read.js';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { withPlaceTable } from '../place/rows.js';

const ROOT = new URL('../../../', import.meta.url);
const PAGE = readFileSync(new URL('docs/compatibility.md', ROOT), 'utf8');
test('the table of what is seen in the service’s place is that which the test walks', () => {
  assert.equal(PAGE, withPlaceTable(PAGE), 'run npm run docs:settings');
});

/** Rows of tables, without their heads. */
const ROWS = PAGE.split('\n').filter((line) => /^\| (?!service, |call |---)/.test(line));

test('every call of every contract is in a row with its state and a test', () => {
  for (const file of readdirSync(new URL('proto/', ROOT)).filter((name) => name.endsWith('.proto'))) {
    const contract = readFileSync(new URL(`proto/${file}`, ROOT), 'utf8');
    for (const [, call = ''] of contract.matchAll(/^ {2}rpc (\w+)\(/gm)) {
      const rows = ROWS.filter((row) => row.includes(`\`${call}\``));
      assert.ok(rows.length > 0, `${file}: ${call}`);
      for (const row of rows) assert.match(row, /`[\w/-]+\.test\.ts`/, row);
    }
  }
});

test('what the page says needs the key does in the contract’s server, and nothing else', () => {
  const sources = ['peer-service', 'registry-service'].map((name) =>
    readFileSync(new URL(`src/main/grpc/${name}.ts`, ROOT), 'utf8'),
  );
  const gates = [...sources.join('\n').matchAll(/'(\w+)', \{\s+admin: (true|false)/g)];
  assert.ok(gates.length > 20, `${gates.length}`);
  for (const [, call = '', admin] of gates) {
    const row = ROWS.find((each) => each.includes(`\`${call}\``)) ?? '';
    assert.equal(/^\|[^|]+\| admin \|/.test(row), admin === 'true', call);
  }
});

test('every test that the page names is there', () => {
  for (const [, path = ''] of PAGE.matchAll(/`([\w/-]+\.test\.ts)`/g)) {
    assert.ok(existsSync(new URL(`test/${path}`, ROOT)), path);
  }
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

test('every topic and every record is in a row', () => {
  for (const { topic } of MESSAGE_KINDS) assert.ok(PAGE.includes(`\`${topic.key}\``), topic.key);
  const records = readFileSync(new URL('proto/kafkamessage.proto', ROOT), 'utf8');
  for (const [, message = ''] of records.matchAll(/^message (\w+)/gm)) {
    const rows = ROWS.filter((row) => row.includes(`\`${message}\``));
    assert.ok(
      rows.some((row) => /`[\w/-]+\.test\.ts`/.test(row)),
      message,
    );
  }
});
