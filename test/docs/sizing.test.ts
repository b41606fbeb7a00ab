import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodeEntry } from '../../src/shared/journal/entry.js';
import { BATCH_HEAD_BYTES } from '../../src/shared/journal/layout.js';
import { checkMessage } from '../../src/shared/pipeline/check.js';
import { kindNamed } from '../support/kinds.js';
import { contextOf, heard, sampleData } from '../support/sample-messages.js';
import { settingsOf } from '../support/settings.js';

const ROOT = new URL('../../../', import.meta.url);
const page = readFileSync(new URL('docs/operators/sizing.md', ROOT), 'utf8');
/** Rows of the table that has these heads, without their padding. */
function table(...heads: string[]): string[][] {
  const from = page.indexOf(`| ${heads.join(' | ')} |`);
  assert.ok(from >= 0, heads.join());
  const [rows = ''] = page.slice(from).split('\n\n');
  return rows
    .split('\n')
    .slice(2)
    .map((row) =>
      row
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}
const numberIn = (text = ''): number => Number(text.replaceAll(',', ''));

test('an entry of each kind has the size that the page says, and so much a day', () => {
  const rows = table('of', 'bytes', 'a day at one a second, MB');
  assert.ok(rows.length > 4);
  for (const [kind = '', bytes, megabytes] of rows) {
    const { kind: id, ...checked } = checkMessage(
      kindNamed(kind),
      heard(kind, sampleData(kind)),
      contextOf(),
    );
    const { length } = encodeEntry({ ...checked, kind: id });
    assert.equal(numberIn(bytes), length, kind);
    assert.equal(numberIn(megabytes), Math.round(((length + BATCH_HEAD_BYTES) * 86_400) / 1e6), kind);
  }
});

test('CPU and memory are those of the figures that the page names', () => {
  const [, path = ''] = /\[figures\]\(\.\.\/\.\.\/(bench\/results\/[\w-]+\.json)\)/.exec(page) ?? [];
  const { results } = JSON.parse(readFileSync(new URL(path, ROOT), 'utf8')) as {
    results: { id: string; figures: { name: string; median: number }[] }[];
  };
  const figures = results.find(({ id }) => id === 'P0')?.figures ?? [];
  const figure = (name: string): number =>
    figures.find((one) => one.name.startsWith(name))?.median ?? Number.NaN;
  const rows = table('messages a second', 'cores', 'resident, MiB');
  assert.ok(rows.length > 1);
  for (const [rate, cores, resident] of rows) {
    const each = `${numberIn(rate)}/s, this server: `;
    const told = [numberIn(cores).toFixed(2), numberIn(resident)];
    const measured = [
      ((figure(`${each}CPU`) * numberIn(rate)) / 1e6).toFixed(2),
      Math.round(figure(`${each}memory`)),
    ];
    assert.deepEqual(told, measured, rate);
  }
});

test('the settings that it speaks of have the defaults that it says', () => {
  const { p2p_feed_retention, p2p_feed_retention_bytes, p2p_outbox_max, p2p_websocket_client_buffer } =
    settingsOf();
  assert.equal(p2p_feed_retention, 24 * 3_600_000);
  assert.equal(p2p_feed_retention_bytes, 2 * 1024 ** 3);
  assert.equal(p2p_outbox_max, 1_000_000);
  assert.equal(p2p_websocket_client_buffer, 1024 ** 2);
});
