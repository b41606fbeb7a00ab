import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  connectionProtector,
  preSharedKeyText,
  swarmKey,
} from '../../../../src/main/node/identity/pre-shared-key.js';
import { settingsOf } from '../../../support/settings.js';

const KEY = '285b49e6d910726a70f205086c39cbac6d8dcc47839053a21b1f614773bbc137';

describe('the pre-shared key', () => {
  it('is the text of a swarm key file', () => {
    assert.equal(preSharedKeyText(KEY), `/key/swarm/psk/1.0.0/\n/base16/\n${KEY}\n`);
    assert.equal(preSharedKeyText(KEY.toUpperCase()), preSharedKeyText(KEY));
  });

  it('protects connections where the network is private alone', async () => {
    assert.equal(await connectionProtector(settingsOf({ p2p_shared_key: KEY })), undefined);
    assert.equal(
      typeof (await connectionProtector(settingsOf({ p2p_shared_key: KEY }, 'first'))),
      'function',
    );
    assert.equal(
      typeof (await connectionProtector(
        settingsOf({ p2p_shared_key: ` ${KEY}\n`, p2p_private_network: true }),
      )),
      'function',
    );
  });

  it('is refused when missing or malformed, without being shown', () => {
    assert.throws(() => swarmKey(settingsOf({}, 'first')), /^ConfigurationError: p2p_shared_key: .*needs it/);
    for (const bad of [KEY.slice(1), `${KEY}0`, `${KEY.slice(2)}zz`]) {
      assert.throws(
        () => swarmKey(settingsOf({ p2p_shared_key: bad }, 'first')),
        (error: Error) => {
          assert.match(error.message, /p2p_shared_key: must be 64 hex digits/);
          assert.ok(!error.message.includes(KEY.slice(4, 20)));
          return true;
        },
      );
    }
  });
});
