/** The page of a server with a message kind that it did not have: nothing of the page was changed for it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashOf } from '../support/gossip.js';
import { launchChromium, openPage, sees } from '../support/page.js';
import { createPeer } from '../support/peer.js';
import { launchServer } from '../support/server-process.js';
import { bundleTree, SIGHTING, treeWith } from '../support/tree-with.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-sighting';

test('a made-up kind has its switch, its chart, its colour and its rows on the page', async (context) => {
  const tree = treeWith(context, SIGHTING);
  bundleTree(tree);
  const run = launchServer(context, { root: tree });
  const { ports, peerId } = await run.ready();
  const browser = await launchChromium();
  context.after(() => browser.close());
  const { page, faults } = await openPage(context, browser, `http://127.0.0.1:${ports.http}/`);
  // Before any was heard.
  await sees(page, '#filters button', [
    'block',
    'subtree',
    'mining_on',
    'rejected_tx',
    'node_status',
    'sighting',
  ]);
  await sees(page, '.chart[data-kind=sighting] strong', /\/s$/);

  const peer = await createPeer({ context, topics: [TOPIC] });
  await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
  await peer.sees(peerId, TOPIC);
  await peer.publish(
    TOPIC,
    JSON.stringify({
      Hash: hashOf(7),
      DataHubUrl: 'http://hub.example.org',
      PeerId: peer.id,
      Place: 'Delft',
    }),
  );
  await sees(page, '.row[data-kind=sighting] .detail', ['Delft']);
  const colours = ['.row[data-kind=sighting] .kind', '#filters [data-kind=sighting]'].map((selector) =>
    page.evaluate(`getComputedStyle(document.querySelector(${JSON.stringify(selector)})).color`),
  );
  // The page's red, by day.
  assert.deepEqual(await Promise.all(colours), ['rgb(178, 58, 9)', 'rgb(178, 58, 9)']);
  assert.deepEqual(faults, []);
});
