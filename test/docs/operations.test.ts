import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { SETTINGS } from '../../src/shared/settings/table.js';

const ROOT = new URL('../../../', import.meta.url);
const operators = readdirSync(new URL('docs/operators', ROOT)).map((name) => `docs/operators/${name}`);
const page = ['docs/operations.md', ...operators]
  .map((path) => readFileSync(new URL(path, ROOT), 'utf8'))
  .join('\n');
const source = readdirSync(new URL('src', ROOT), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => readFileSync(new URL(`src/${path}`, ROOT), 'utf8'))
  .join('\n');
const quoted = (pattern: RegExp) => new Set([...page.matchAll(pattern)].map(([, name = '']) => name));

test('what an operator is told to look for is what the server says: lines of its log, metrics', () => {
  // “log `a`, `b`” and “logs `c`”: whole messages.
  const lines = [...page.matchAll(/\blogs? ((?:`[^`]+`(?:, (?:every 5 s |at last )?)?)+)/g)].flatMap(
    ([, list = '']) => [...list.matchAll(/`([^`]+)`/g)].map(([, line = '']) => line),
  );
  assert.ok(lines.length > 15, `${lines.length} lines`);
  for (const line of lines.filter((each) => !/^\w+$/.test(each))) {
    assert.ok(source.includes(`'${line}'`), `no such line of the log: ${line}`);
  }
  const metrics = quoted(/`(teranode_p2p_\w+)/g);
  assert.ok(metrics.size > 10);
  for (const metric of metrics) assert.ok(source.includes(`'${metric}'`), metric);
});

test('the settings, states, outcomes and alerts that it names are there', () => {
  const settings = quoted(/`((?:p2p_|kafka_|KAFKA_)\w+)`/g);
  assert.ok(settings.size > 10);
  // Of the image's file also what its settings are put together from.
  const ofImage = readFileSync(new URL('deploy/image/settings.conf', ROOT), 'utf8');
  for (const key of settings)
    assert.ok(Object.hasOwn(SETTINGS, key) || new RegExp(`^${key} `, 'm').test(ofImage), key);
  for (const name of ['broker_down', 'topic_fault', 'outbox_full', 'store_failed']) {
    assert.ok(page.includes(`\`${name}\``), name);
    assert.ok(source.includes(`'${name}'`), name);
  }
  const alerts = (
    parse(readFileSync(new URL('deploy/alerts.yml', ROOT), 'utf8')) as {
      groups: { rules: { alert: string }[] }[];
    }
  ).groups.flatMap(({ rules }) => rules.map(({ alert }) => alert));
  const told = [...page.matchAll(/\balerts? ((?:`\w+`[^|;`]*)+)/g)].flatMap(([, list = '']) =>
    [...list.matchAll(/`(\w+)`/g)].map(([, alert = '']) => alert),
  );
  assert.ok(told.length > 6, `${told.length} alerts`);
  for (const alert of told) assert.ok(alerts.includes(alert), alert);
});
