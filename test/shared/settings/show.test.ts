import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { settingsMarkdown } from '../../../src/shared/settings/docs.js';
import { showSettings } from '../../../src/shared/settings/show.js';
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

test('what URLs carry under names of secrets is shown nowhere, however they are written, all else is', () => {
  // The names are those that Teranode's own settings page hides.
  for (const name of [
    'password',
    'passwd',
    'PWD',
    'client_secret',
    'token',
    'api_key',
    'apikey',
    'auth',
    'credential',
    'private_key',
    'access_key',
    'sas',
    'signature',
    'pass%77ord',
  ]) {
    for (const url of [
      `http://h/hub?${name}=letmein&partitions=4`,
      `http://h/hub?partitions=4&${name}=letmein`,
      `http://h/hub?partitions=4;${name}=let;letmein`,
      `http://h/hub?partitions=4#${name}=letmein`,
      `http://h/hub?${name}=%ZZletmein&partitions=4`,
      `http://h/hub?${name}=l#?;letmein&partitions=4`,
    ]) {
      const shown = shownAs(url);
      assert.ok(!shown.includes('letmein'), shown);
      assert.ok(shown.startsWith('http://h/hub?') && shown.includes('partitions=4'), shown);
    }
  }
  for (const [url, shown] of [
    ['http://u:letmein@h:80/x', 'http://u:[secret]@h:80/x'],
    ['http://u:let/me?in#@h:80/x', 'http://u:[secret]@h:80/x'],
    ['http://u:let@mein@h:80/x', 'http://u:[secret]@h:80/x'],
    ['https://letmein@h/x', 'https://[secret]@h/x'],
    [
      'kafka://a:p@h/t?x=1|http://b:q@h and http://h:80/@x',
      'kafka://a:[secret]@h/t?x=1|http://b:[secret]@h and http://h:80/@x',
    ],
    // Nothing in these is secret.
    ['postgres://someone@h/db', 'postgres://someone@h/db'],
    ['http://[::1]:80/a:b@c?partitions=4&password', 'http://[::1]:80/a:b@c?partitions=4&password'],
    ['kafka://h1:9092,h2:9092/blocks?partitions=1', 'kafka://h1:9092,h2:9092/blocks?partitions=1'],
  ] as const) {
    assert.equal(shownAs(url), shown);
  }
});

test('a secret that a URL carries percent-encoded is shown nowhere, whatever it is made of', () => {
  // Each printable character of ASCII, and two from beyond.
  const characters = [...Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)), 'é', '\n'];
  for (const character of characters)
    for (const secret of [`let${character}mein`, `12${character}letmein`, `${character}letmein`]) {
      const encoded = [...Buffer.from(secret)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`);
      const usual = encodeURIComponent(secret).replace(
        /[!'()*]/g,
        (each) => `%${each.charCodeAt(0).toString(16)}`,
      );
      for (const written of [encoded.join(''), usual])
        for (const [url, shown] of [
          [`kafka://u:${written}@h/t?x=1`, 'kafka://u:[secret]@h/t?x=1'],
          [`https://${written}@h/x`, 'https://[secret]@h/x'],
          [`http://h/?token=${written}&x=1`, 'http://h/?token=[secret]&x=1'],
        ] as const)
          assert.equal(shownAs(url), shown);
    }
});

test('an error that quotes settings quotes no secret of theirs', () => {
  const error = new ConfigurationError(['a: "http://u:letmein@h/?token=letmein" is none', 'b: also']);
  assert.ok(!`${error.message}${error.problems}${error.stack}`.includes('letmein'), error.message);
  assert.match(error.problems[0] ?? '', /^a: "http:\/\/u:\[secret\]@h\/\?token=\[secret\]" is none$/);
});

function shownAs(asset_httpAddress: string): string {
  const shown = showSettings(settingsOf({ asset_httpAddress }), sources);
  return shown.find(({ key }) => key === 'asset_httpAddress')?.value ?? '';
}

test('an empty secret shows as empty', () => {
  const shown = showSettings(settingsOf(), sources);
  assert.equal(shown.find(({ key }) => key === 'p2p_shared_key')?.value, '');
});

test('docs/settings.md is what the table says', () => {
  // Compiled tests are in dist/test/shared/settings.
  const file = readFileSync(new URL('../../../../docs/settings.md', import.meta.url), 'utf8');
  assert.equal(file, settingsMarkdown(), 'run npm run docs:settings');
});
