import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestNode, type TestNode } from '../../../support/node.js';
import { createPeer } from '../../../support/peer.js';
import { settingsOf } from '../../../support/settings.js';
import { waitFor } from '../../../support/wait.js';

const warnings = ({ lines }: TestNode, text: string) =>
  lines.filter(({ level, msg }) => level === 40 && String(msg).includes(text));

test('a bootstrap name that does not resolve holds up no start, is warned of once, and is asked again until it leads to peers', async (context) => {
  const peer = await createPeer({ context });
  const { p2p_bootstrap_peers } = settingsOf({ network: 'teratestnet' });
  const asked: string[] = [];
  let there = false;
  const tested = await createTestNode(context, {
    settings: { network: 'teratestnet', p2p_bootstrap_peers },
    resolveTxt: async (name) => {
      asked.push(name);
      if (!there) throw new Error(`queryTxt ENOTFOUND ${name}`);
      return [`dnsaddr=${peer.address}`];
    },
  });
  await waitFor(() => asked.length > 0, { what: 'the question' });
  assert.equal(asked[0], '_dnsaddr.teratestnet.bootstrap.teranode.bsvb.tech');
  // Bootstrap peers and relays each ask again after some seconds.
  const before = asked.length;
  await waitFor(() => asked.length > before, { what: 'another question' });
  there = true;
  await waitFor(() => tested.node.peers().some(({ id }) => id === peer.id), { what: 'the bootstrap peer' });
  assert.equal(warnings(tested, 'does not resolve').length, 1);
});

test('a node that is told of no peer to call says so once, with the settings, unless it is on a network of its own', async (context) => {
  const [lonely, ...others] = [
    await createTestNode(context, { settings: { network: 'mainnet' } }),
    await createTestNode(context, { settings: { network: 'regtest' } }),
    await createTestNode(context, {
      settings: {
        network: 'mainnet',
        p2p_static_peers: ['/ip4/127.0.0.1/tcp/1/p2p/12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt'],
      },
    }),
  ];
  const said = (tested: TestNode) => warnings(tested, 'no peer to call is named');
  assert.ok(lonely);
  assert.deepEqual(
    said(lonely).map(({ settings }) => settings),
    [['p2p_bootstrap_peers', 'p2p_static_peers']],
  );
  for (const other of others) assert.deepEqual(said(other), []);
});
