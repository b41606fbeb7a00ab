import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { boundAddresses } from '../../../../src/main/node/patches/stored-addresses.js';
import { createHost } from '../../../support/host.js';

test('of a peer that tells ever new addresses the signed and the newest are kept', async (context) => {
  const { peerStore } = await createHost(context);
  boundAddresses(peerStore, 4);
  const id = peerIdFromPrivateKey(await generateKeyPair('Ed25519'));
  const addresses = (from: number, count: number) =>
    Array.from({ length: count }, (_, n) => multiaddr(`/ip4/10.0.0.${from + n}/tcp/1`));
  const kept = async () =>
    (await peerStore.get(id)).addresses.map(({ multiaddr }) => multiaddr.toString()).sort();
  const texts = (from: number, count: number) => addresses(from, count).map(String);

  await peerStore.save(id, { multiaddrs: addresses(1, 9) });
  assert.deepEqual(await kept(), texts(1, 4));
  await peerStore.patch(id, {
    addresses: [{ multiaddr: multiaddr('/ip4/10.0.0.1/tcp/1'), isCertified: true }],
  });
  await peerStore.merge(id, { multiaddrs: addresses(2, 9) });
  assert.deepEqual(await kept(), texts(1, 4));
  const { addresses: merged } = await peerStore.merge(id, { multiaddrs: addresses(6, 3) });
  assert.equal(merged.length, 4);
  assert.deepEqual(await kept(), [...texts(1, 1), ...texts(6, 3)]);
});
