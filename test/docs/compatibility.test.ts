import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const ROOT = new URL('../../../', import.meta.url);
const PAGE = readFileSync(new URL('docs/compatibility.md', ROOT), 'utf8');
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
