import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys';
import type { Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import {
  ALL_PATCHES,
  growCipherMemory,
  updateWindowsByHalves,
} from '../../../../src/main/node/patches/library-patches.js';
import { digestOf, digestsOf, libraryFolder } from '../../../support/library-source.js';
import { BLOCK, BLOCK_TOPIC, createTestNode, SHARED_KEY } from '../../../support/node.js';
import { createPeer, type RawMessage, signMessage } from '../../../support/peer.js';
import { waitFor } from '../../../support/wait.js';

test('what the patches lean on is as it was when they were made', () => {
  const fromPnet = createRequire(import.meta.resolve('@libp2p/pnet'));
  const digests = {
    ...digestsOf(libraryFolder('@chainsafe/libp2p-gossipsub'), {
      validateReceivedMessage: ['gossipsub.js', 'async validateReceivedMessage('],
      handleReceivedMessage: ['gossipsub.js', 'async handleReceivedMessage('],
      handlePrune: ['gossipsub.js', 'async handlePrune('],
      pxConnect: ['gossipsub.js', 'async pxConnect('],
      validateToRawMessage: ['utils/buildRawMessage.js'],
      rejectInvalidMessage: ['score/peer-score.js', 'rejectInvalidMessage('],
    }),
    ...digestsOf(libraryFolder('@libp2p/yamux'), {
      sendWindowUpdate: ['stream.js', 'sendWindowUpdate() {'],
      newStream: ['muxer.js', '_newStream(streamId'],
    }),
    cipher: digestOf(readFileSync(fromPnet.resolve('xsalsa20'), 'utf8').slice(0, 2_000)),
  };
  assert.deepEqual(digests, {
    validateReceivedMessage: '9f90d27a2f1f71bd',
    handleReceivedMessage: 'd4e2feb7053d8b50',
    handlePrune: 'd630454e18d35ebc',
    pxConnect: 'a22d54279d212343',
    validateToRawMessage: '5e6f91dfbcb6088b',
    rejectInvalidMessage: '7901f54f4836a672',
    sendWindowUpdate: '5d19db7fdb057e22',
    newStream: '69f472adc493e1e3',
    cipher: '389ddafc2741a290',
  });
});

test('the verifying patch says of every message what the library says', async (context) => {
  const stock = await createTestNode(context, { patches: { ...ALL_PATCHES, verification: false } });
  const seamed = await createTestNode(context);
  const author = await generateKeyPair('Ed25519');
  const other = await generateKeyPair('Ed25519');
  const other256 = await generateKeyPair('secp256k1');
  // Sent by its author: what others pass on and is not valid is dropped, and thrown is all there is to compare.
  const from = peerIdFromPrivateKey(author);
  let sequence = 1n;
  const sign = (data = 'text', withKey = false, key: typeof author | typeof other256 = author) =>
    signMessage(key, BLOCK_TOPIC, data, sequence++, withKey);
  const good = await sign();
  const flip = (bytes: Uint8Array | undefined, at: number) =>
    Uint8Array.from(bytes ?? [], (byte, index) => (index === at ? byte ^ 1 : byte));
  const without = (message: RawMessage, field: keyof RawMessage): RawMessage => {
    const { [field]: _, ...rest } = message;
    return rest as RawMessage;
  };
  const { data: _, ...dataless } = await signMessage(author, BLOCK_TOPIC, '', sequence++);
  const corpus: Record<string, RawMessage> = {
    good,
    'with key': await sign('text', true),
    'a long text': await sign('x'.repeat(100_000)),
    'of 127 and 128 bytes': await sign('x'.repeat(128)),
    empty: await sign(''),
    'secp256k1 author': await sign('text', true, other256),
    'no data field, signed with one': dataless,
    again: good,
    'again with another signature': { ...good, signature: flip(good.signature, 3) },
    'flipped signature': { ...(await sign()), signature: flip(good.signature, 60) },
    'short signature': { ...(await sign()), signature: good.signature!.subarray(1) },
    'long signature': { ...(await sign()), signature: Buffer.concat([good.signature!, Buffer.of(0)]) },
    'no signature': without(await sign(), 'signature'),
    'no from': without(await sign(), 'from'),
    'no sequence number': without(await sign(), 'seqno'),
    'short sequence number': { ...(await sign()), seqno: Buffer.alloc(7) },
    'other data': { ...(await sign()), data: Buffer.from('other') },
    'other sequence number': { ...(await sign()), seqno: Buffer.alloc(8, 9) },
    "somebody else's key": { ...(await sign()), key: publicKeyToProtobuf(other.publicKey) },
    'cut key': { ...(await sign('t', true)), key: publicKeyToProtobuf(author.publicKey).subarray(0, 20) },
    'empty key': { ...(await sign()), key: new Uint8Array(0) },
    'no key at all in it': { ...(await sign()), key: Buffer.from('junk') },
    "somebody else's name": { ...(await sign()), from: other.publicKey.toMultihash().bytes },
    'a name that is no multihash': { ...(await sign()), from: Buffer.alloc(38, 1) },
    'a name that is no point': {
      ...(await sign()),
      from: Buffer.concat([Buffer.from('002408011220', 'hex'), Buffer.alloc(32, 0xff)]),
    },
    'all zeros for key and signature': {
      ...(await sign()),
      from: Buffer.concat([Buffer.from('002408011220', 'hex'), Buffer.alloc(32)]),
      signature: Buffer.alloc(64),
    },
  };
  for (const [name, message] of Object.entries(corpus)) {
    const said = [];
    for (const { node } of [stock, seamed]) {
      const { code, ...result } = await node
        .inspect()
        .host!.services.pubsub.validateReceivedMessage(from, { ...message })
        .catch((error: Error) => ({ code: error.name }));
      const { error = '', reason = '', msg, messageId } = result as any;
      said.push([
        code,
        error,
        reason,
        msg?.from.toString(),
        msg?.sequenceNumber,
        msg && Buffer.from(msg.data).toString('hex'),
        msg && Buffer.from(msg.key.raw).toString('hex'),
        messageId?.msgIdStr,
      ]);
    }
    assert.deepEqual(said[1], said[0], name);
    if (name === 'good') assert.equal(said[1]![0], 'valid');
    if (name.includes('signature')) {
      assert.equal(said[1]![0], name.startsWith('all') ? 'UnblamedMessageError' : 'invalid', name);
    }
  }
});

test('window updates go out for half windows, and a stream of many windows still flows', async (context) => {
  const frames = async (patch: boolean) => {
    const [outbound, inbound] = multiaddrConnectionPair();
    const factory = () =>
      yamux({ enableKeepAlive: false, streamOptions: { maxStreamWindowSize: 262_144 } })();
    const sender = factory().createStreamMuxer(outbound as never);
    const receiver = (patch ? updateWindowsByHalves(factory()) : factory()).createStreamMuxer(
      inbound as never,
    );
    context.after(() => Promise.all([sender.close(), receiver.close()]).then(() => undefined));
    let received = 0;
    let sent = 0;
    const send = inbound.send.bind(inbound);
    inbound.send = (data) => {
      sent++;
      return send(data);
    };
    receiver.addEventListener('stream', (({ detail: stream }: { detail: Stream }) => {
      stream.addEventListener('message', ({ data }) => {
        received += data.byteLength;
      });
    }) as never);
    const stream = await sender.createStream();
    const piece = new Uint8Array(1_000);
    for (let count = 0; count < 1_000; count++) {
      if (!stream.send(piece)) await stream.onDrain();
      await tick();
    }
    await waitFor(() => received === 1_000_000, { what: 'a million bytes' });
    return sent;
  };
  const stock = await frames(false);
  const halves = await frames(true);
  assert.ok(stock > halves * 3, `${stock} frames without the patch, ${halves} with it`);
  assert.ok(halves < 20, `${halves} frames for eight half windows`);
});

test('on a private network messages above 640 KiB pass between several peers both ways', async (context) => {
  growCipherMemory();
  growCipherMemory();
  const { node, heard, address } = await createTestNode(context, {
    generation: 'first',
    verdict: 'accept',
    settings: { p2p_topic_prefix: 'teranode/bitcoin/1.0.0/regtest' },
  });
  const peers = [];
  for (let count = 0; count < 3; count++) {
    const peer = await createPeer({ context, topics: [BLOCK_TOPIC], sharedKey: SHARED_KEY });
    await peer.dial(address);
    await peer.sees(node.peerId, BLOCK_TOPIC);
    peers.push(peer);
  }
  const large = Buffer.alloc(1_200_000, 'x');
  await waitFor(async () => (await node.publish(BLOCK, large)) === 3, {
    what: 'the message to go to all three',
    everyMs: 1_000,
    timeoutMs: 60_000,
  });
  for (const peer of peers) await peer.publish(BLOCK_TOPIC, large);
  await waitFor(() => new Set(heard.map(({ author }) => author)).size === 3, {
    what: 'three large messages',
    timeoutMs: 60_000,
  });
  for (const peer of peers) {
    await waitFor(
      () => peer.heard.some(({ author, data }) => author === node.peerId && data.length === large.length),
      { what: 'the large message at each', timeoutMs: 60_000 },
    );
  }
  assert.equal(node.peers().length, 3);
});
