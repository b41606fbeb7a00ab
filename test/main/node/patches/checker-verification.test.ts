import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { BLOCK_TOPIC, createTestNode } from '../../../support/node.js';
import { type RawMessage, signMessage } from '../../../support/peer.js';

test('the verifying patch says of every message what the library says', async (context) => {
  const stock = await createTestNode(context, { patches: { checkerVerification: false } });
  const patched = await createTestNode(context);
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
    for (const { node } of [stock, patched]) {
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
