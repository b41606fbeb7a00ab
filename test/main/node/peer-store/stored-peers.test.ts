import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { StoredPeers } from '../../../../src/main/node/peer-store/stored-peers.js';
import { createHost } from '../../../support/host.js';
import { keptLog } from '../../../support/logger.js';
import { waitFor } from '../../../support/wait.js';

test('who comes with ever new identities does not fill the peer store; who is connected or configured stays', async (context) => {
  const host = await createHost(context);
  const other = await createHost(context, { listen: [] });
  const newId = async () => peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
  const meet = async (id: Awaited<ReturnType<typeof newId>>) =>
    host.peerStore.merge(id, { multiaddrs: [multiaddr('/ip4/127.0.0.9/tcp/1')] });
  const stored = async () => (await host.peerStore.all()).map(({ id }) => id.toString());
  const configured = await newId();
  await meet(configured);
  for (let count = 0; count < 8; count++) await meet(await newId());
  await other.dial(host.getMultiaddrs());
  await waitFor(async () => (await stored()).includes(other.peerId.toString()));

  const peers = new StoredPeers(
    { libp2p: host, logger: keptLog().logger },
    { isConfigured: (id) => id === configured.toString(), max: 5 },
  );
  peers.start();
  context.after(() => peers.stop());
  await waitFor(async () => (await stored()).length <= 7, { what: 'those of an earlier run to go' });
  for (let count = 0; count < 30; count++) await meet(await newId());
  const last = await newId();
  await meet(last);
  await waitFor(async () => (await stored()).length <= 7, { what: 'the others to go' });
  const left = await stored();
  for (const id of [configured, other.peerId, last]) assert.ok(left.includes(id.toString()));
});
