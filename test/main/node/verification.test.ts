import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { Registry } from 'prom-client';
import { createNodeMetrics } from '../../../src/main/node/metrics.js';
import { SignatureVerifier } from '../../../src/main/node/verification.js';
import type { SignedBytes } from '../../../src/shared/signature-batch.js';
import { keptLog } from '../../support/logger.js';
import { BLOCK_TOPIC, createTestNode } from '../../support/node.js';
import { createPeer } from '../../support/peer.js';
import { waitFor, within } from '../../support/wait.js';

const MORTAL = new URL('./programs/mortal-verifier.js', import.meta.url);

function createVerifier(context: TestContext, worker?: URL, silenceMs = 10_000) {
  const registry = new Registry();
  const metrics = createNodeMetrics(registry);
  const { logger, lines } = keptLog();
  const verifier = new SignatureVerifier(
    { logger, metrics },
    {
      silenceMs,
      ...(worker === undefined ? {} : { worker }),
    },
  );
  context.after(() => verifier.stop());
  verifier.start();
  const count = async (where: string) =>
    (await metrics.signatures.get()).values
      .filter(({ labels }) => labels.where === where)
      .reduce((sum, { value }) => sum + value, 0);
  return { verifier, metrics, lines, count };
}

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const rawKey = (key: KeyObject) => key.export({ format: 'der', type: 'spki' }).subarray(12);

function signed(text: string): SignedBytes {
  const bytes = Buffer.from(text);
  return { key: rawKey(publicKey), signature: sign(null, bytes, privateKey), bytes };
}

function forged(text: string): SignedBytes {
  const good = signed(text);
  const signature = Buffer.from(good.signature);
  signature[7] = (signature[7] ?? 0) ^ 1;
  return { ...good, signature };
}

test('signatures are verified in a thread, good and forged told apart', async (context) => {
  const { verifier, count } = createVerifier(context);
  const results = await Promise.all(
    Array.from({ length: 600 }, (_, index) =>
      verifier.verify(`m${index}`, index % 3 === 0 ? forged(`text ${index}`) : signed(`text ${index}`)),
    ),
  );
  assert.deepEqual(
    results.map((holds, index) => holds === (index % 3 !== 0)),
    results.map(() => true),
  );
  assert.equal(await count('thread'), 600);
  assert.equal(await count('main'), 0);
  assert.equal(verifier.pending, 0);
});

test('a duplicate on its way is verified once', async (context) => {
  const { verifier, count } = createVerifier(context);
  const message = signed('once');
  const results = await Promise.all([1, 2, 3, 4].map(() => verifier.verify('same', message)));
  assert.deepEqual(results, [true, true, true, true]);
  assert.equal(await count('thread'), 1);
});

test('a verifier that dies is replaced, its batch retried, nothing lost; one that keeps dying is done without', async (context) => {
  const { verifier, metrics, lines, count } = createVerifier(context, MORTAL);
  // Each thread serves two batches: sixteen use up five threads and then some.
  for (let batch = 0; batch < 16; batch++) {
    const results = await within(
      Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          verifier.verify(`${batch}/${index}`, index === 7 ? forged('x') : signed(`${batch} ${index}`)),
        ),
      ),
      10_000,
      `batch ${batch}`,
    );
    assert.deepEqual(
      results.map((holds, index) => holds === (index !== 7)),
      results.map(() => true),
    );
  }
  assert.equal((await metrics.verifierDeaths.get()).values[0]?.value, 5);
  assert.equal(verifier.offMainThread, false);
  assert.ok((await count('main')) > 0 && (await count('thread')) >= 160);
  assert.match(JSON.stringify(lines), /verified on the main thread/);
});

test('a batch that kills two verifiers is verified on the main thread and kills no third', async (context) => {
  const { verifier, metrics, count } = createVerifier(context, MORTAL);
  assert.equal(await within(verifier.verify('p', signed('poison')), 10_000, 'the poison'), true);
  assert.equal((await metrics.verifierDeaths.get()).values[0]?.value, 2);
  assert.equal(await count('main'), 1);
  assert.equal(await verifier.verify('q', signed('food')), true);
  assert.equal(await count('thread'), 1);
});

test('a verifier that falls silent is ended and replaced', async (context) => {
  const { verifier, metrics } = createVerifier(context, MORTAL, 200);
  assert.equal(await within(verifier.verify('s', signed('silence')), 10_000, 'the silent batch'), true);
  assert.equal((await metrics.verifierDeaths.get()).values[0]?.value, 2);
});

test('a program that is not there leaves verification on the main thread', async (context) => {
  const { verifier } = createVerifier(context, new URL('./programs/nowhere.js', import.meta.url));
  assert.equal(await within(verifier.verify('a', signed('a')), 10_000, 'the verification'), true);
});

test('a node whose verifier dies in mid-flow hears everything', async (context) => {
  const { node, heard, address, metric } = await createTestNode(context, {
    verifierProgram: MORTAL,
    verdict: 'accept',
  });
  const peer = await createPeer({ context, topics: [BLOCK_TOPIC] });
  await peer.dial(address);
  await peer.sees(node.peerId, BLOCK_TOPIC);
  for (let round = 1; round <= 8; round++) {
    const batch = await Promise.all([1, 2, 3, 4, 5].map(() => peer.sign(BLOCK_TOPIC, `round ${round}`)));
    peer.send(node.peerId, batch);
    await waitFor(() => heard.length === round * 5, { what: `round ${round}` });
  }
  assert.ok((await metric('teranode_p2p_node_verifier_deaths_total')) >= 3);
  assert.match((await node.health()).message, /1 peers connected/);
});
