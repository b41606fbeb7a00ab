import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { connectionProtector, swarmKey } from '../../../../src/main/node/identity/pre-shared-key.js';
import { settingsOf } from '../../../support/settings.js';

const KEY = '285b49e6d910726a70f205086c39cbac6d8dcc47839053a21b1f614773bbc137';

describe('the pre-shared key', () => {
  it('is the text of a swarm key file', () => {
    for (const p2p_shared_key of [KEY, KEY.toUpperCase()])
      assert.equal(
        swarmKey(settingsOf({ p2p_shared_key }, 'first')),
        `/key/swarm/psk/1.0.0/\n/base16/\n${KEY}\n`,
      );
  });

  it('protects connections where the network is private alone', async () => {
    assert.equal(await connectionProtector(settingsOf({ p2p_shared_key: KEY })), undefined);
    assert.equal(
      typeof (await connectionProtector(settingsOf({ p2p_shared_key: KEY }, 'first'))),
      'function',
    );
    assert.equal(
      typeof (await connectionProtector(settingsOf({ p2p_shared_key: KEY, p2p_private_network: true }))),
      'function',
    );
  });
});
