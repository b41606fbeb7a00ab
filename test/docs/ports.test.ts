import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { topicPrefix } from '../../src/shared/bitcoin/networks.js';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { settingsOf } from '../support/settings.js';

const ROOT = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/operators/networks.md', ROOT), 'utf8');
const rowsUnder = (heading: string): string[][] => {
  const [, section = ''] = page.split(`\n## ${heading}\n`);
  return [...(section.split('\n## ')[0] ?? '').matchAll(/^\| (?!---)(.*) \|$/gm)]
    .slice(1)
    .map(([, row = '']) => row.split(' | '));
};
const plain = (cell = ''): string => cell.replaceAll('`', '').trim();

test('every network is in the table, with its topics and whom it calls first', () => {
  const rows = new Map(
    rowsUnder('Which network').map(([name, topics, first]) => [plain(name), [plain(topics), plain(first)]]),
  );
  const { network } = SETTINGS;
  assert.deepEqual([...rows.keys()].sort(), [...network.choices].sort());
  for (const [name, [topics, first]] of rows) {
    const settings = settingsOf({ network: name as (typeof network.choices)[number] });
    assert.equal(topics, topicPrefix(settings));
    const peers = settings.p2p_bootstrap_peers;
    if (peers.length === 0) assert.match(first ?? '', /^nobody/);
    else assert.deepEqual([first], peers);
  }
});

test('every setting that has the server listen is in the table, with its port and where', () => {
  const rows = new Map(
    rowsUnder('What listens where').map(([port, setting, , where]) => [plain(setting), [port, where]]),
  );
  const listening = Object.keys(SETTINGS).filter((key) =>
    /[lL]istenAddress$|^profilerAddr$|^p2p_port$/.test(key),
  );
  assert.deepEqual([...rows.keys()].sort(), listening.sort());
  const settings = settingsOf();
  for (const [key, [port, where = '']] of rows) {
    if (key === 'p2p_port') {
      assert.equal(Number(port), settings.p2p_port);
      continue;
    }
    const address = settings[key as 'profilerAddr'];
    assert.equal(Number(port), address?.port, key);
    assert.equal(/^loopback/.test(where), address?.host === 'localhost', key);
  }
});
