import assert from 'node:assert/strict';
import { test } from 'node:test';
import { announcedUrls } from '../../../src/main/announce/urls.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { settingsOf } from '../../support/settings.js';

test('the public address is preferred', () => {
  const urls = announcedUrls(
    settingsOf({
      asset_httpAddress: 'http://hub.example',
      asset_httpPublicAddress: 'https://public.example/api',
      asset_propagation_public_url: 'https://propagation.example',
    }),
  );
  assert.deepEqual(urls, {
    dataHubUrl: 'https://public.example/api',
    propagation: 'https://propagation.example',
    announceable: true,
    warnings: [],
  });
});

test('the first generation fits the scheme to securityLevelHTTP, with a warning each', () => {
  const told = (securityLevelHTTP: number, asset_httpAddress: string) =>
    announcedUrls(settingsOf({ securityLevelHTTP, asset_httpAddress }, 'first'));
  assert.equal(told(1, 'http://hub.example:8090').dataHubUrl, 'https://hub.example:8090');
  assert.equal(told(0, 'https://hub.example:8090').dataHubUrl, 'http://hub.example:8090');
  assert.match(told(1, 'http://hub.example').warnings[0]!, /^asset_httpAddress: /);
  assert.deepEqual(told(1, 'https://hub.example').warnings, []);
  const current = announcedUrls(
    settingsOf({ securityLevelHTTP: 1, asset_httpAddress: 'http://hub.example' }),
  );
  assert.equal(current.dataHubUrl, 'http://hub.example');
});

test('what peers would punish is not announced', () => {
  for (const asset_httpAddress of [
    '',
    'http://127.0.0.1:8090',
    'http://10.1.2.3',
    'http://user:pw@hub.example',
  ]) {
    const urls = announcedUrls(settingsOf({ asset_httpAddress }));
    assert.equal(urls.announceable, false, asset_httpAddress);
    assert.equal(urls.warnings.length, 1);
  }
  const allowed = settingsOf({ asset_httpAddress: 'http://127.0.0.1:8090', p2p_allow_private_ips: true });
  assert.equal(announcedUrls(allowed).announceable, true);
});

test('what every peer would refuse to read is an error naming every key', () => {
  assert.throws(
    () =>
      announcedUrls(
        settingsOf({
          asset_httpAddress: 'http://hub.example/\u202Eipa',
          asset_httpPublicAddress: 'http://hub.example/\tapi',
          asset_propagation_public_url: `http://hub.example/${'x'.repeat(2048)}`,
        }),
      ),
    (error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.deepEqual(error.problems, [
        'asset_httpAddress: has unprintable characters',
        'asset_httpPublicAddress: has unprintable characters',
        'asset_propagation_public_url: is longer than 2048 bytes',
      ]);
      return true;
    },
  );
});

test('what no URL has is told percent-encoded, with a warning', () => {
  const {
    dataHubUrl: dataHub,
    announceable,
    warnings,
  } = announcedUrls(settingsOf({ asset_httpAddress: 'http://hub.example/${X}/api' }));
  assert.equal(dataHub, 'http://hub.example/$%7BX%7D/api');
  assert.equal(announceable, true);
  assert.match(warnings.join(), /^asset_httpAddress: told as http:\/\/hub\.example\/\$%7BX%7D\/api: /);
});
