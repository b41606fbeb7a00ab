import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { settingsMarkdown } from '../../../src/shared/settings/docs.js';
import { showSettings, withoutPasswords } from '../../../src/shared/settings/show.js';
import { SETTINGS, type SettingKey } from '../../../src/shared/settings/table.js';
import { settingsOf } from '../../support/settings.js';

const sources = Object.fromEntries(Object.keys(SETTINGS).map((key) => [key, 'default'])) as Record<
  SettingKey,
  string
>;

test('no secret and no password of a URL is shown, everything else is', () => {
  const settings = settingsOf({
    p2p_shared_key: 'aa'.repeat(32),
    p2p_private_key: 'bb'.repeat(64),
    grpc_admin_api_key: 'letmein',
    blockchain_store: 'postgres://u:letmein@h/d',
    asset_httpAddress: 'http://u:letmein@h/',
    p2p_ban_duration: 90_000,
    p2p_static_peers: ['/ip4/1.2.3.4/tcp/1/p2p/x', '/ip4/1.2.3.4/tcp/2/p2p/y'],
  });
  const shown = showSettings(settings, sources);
  const text = JSON.stringify(shown);
  for (const secret of ['letmein', 'aaaa', 'bbbb']) assert.ok(!text.includes(secret), secret);
  const value = (key: SettingKey) => shown.find((one) => one.key === key)?.value;
  assert.equal(value('p2p_shared_key'), '[secret]');
  assert.equal(value('asset_httpAddress'), 'http://u:[secret]@h/');
  assert.equal(value('p2p_ban_duration'), '90s');
  assert.equal(value('p2p_static_peers'), '/ip4/1.2.3.4/tcp/1/p2p/x|/ip4/1.2.3.4/tcp/2/p2p/y');
  assert.equal(shown.length, Object.keys(SETTINGS).length);
});

test('an empty secret shows as empty', () => {
  const shown = showSettings(settingsOf(), sources);
  assert.equal(shown.find(({ key }) => key === 'p2p_shared_key')?.value, '');
});

test('passwords go from every URL of a text', () => {
  assert.equal(
    withoutPasswords('kafka://a:p@h/t?x=1|http://b:q@h and http://h:80/@x'),
    'kafka://a:[secret]@h/t?x=1|http://b:[secret]@h and http://h:80/@x',
  );
});

test('docs/settings.md is what the table says', () => {
  // Compiled tests are in dist/test/shared/settings.
  const file = readFileSync(new URL('../../../../docs/settings.md', import.meta.url), 'utf8');
  assert.equal(file, settingsMarkdown(), 'run npm run docs:settings');
});
