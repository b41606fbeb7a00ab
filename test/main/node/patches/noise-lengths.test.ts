import '../../../../src/shared/process/polyfill.js';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { MessageStream } from '@libp2p/interface';
import { defaultLogger } from '@libp2p/logger';
import { noise } from '@libp2p/noise';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { lengthsWithoutErrors } from '../../../../src/main/node/patches/noise-lengths.js';
import { waitFor } from '../../../support/wait.js';

async function encrypter(create: ReturnType<typeof noise>) {
  const privateKey = await generateKeyPair('Ed25519');
  const upgrader = { getStreamMuxers: () => new Map(), getConnectionEncrypters: () => new Map() };
  return create({
    ...{ privateKey, peerId: peerIdFromPrivateKey(privateKey), logger: defaultLogger() },
    upgrader: upgrader as never,
  });
}

/** Sends pieces from a stock peer, each split anywhere on its way; answers what came, and how many errors were made. */
async function heardBy(create: ReturnType<typeof noise>, pieces: readonly Buffer[]) {
  const [outbound, inbound] = multiaddrConnectionPair();
  const [sender, receiver] = await Promise.all([
    encrypter(noise()).then((each) => each.secureOutbound(outbound)),
    encrypter(create).then((each) => each.secureInbound(inbound)),
  ]);
  const heard: Buffer[] = [];
  const from: MessageStream = receiver.connection;
  from.addEventListener('message', ({ data }) => void heard.push(Buffer.from(data.subarray())));
  const send = outbound.send.bind(outbound);
  let cut = 1;
  outbound.send = (data) => {
    const bytes = data.subarray();
    cut = (cut % 5) + 1;
    send(bytes.subarray(0, cut));
    return send(bytes.subarray(cut));
  };
  let errors = 0;
  const { RangeError: original } = globalThis;
  globalThis.RangeError = new Proxy(original, {
    // The library leaves `new` out.
    apply: (target, _, args) => {
      errors++;
      return new target(...args);
    },
  });
  try {
    for (const piece of pieces) {
      sender.connection.send(piece);
      await tick();
    }
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    await waitFor(() => Buffer.concat(heard).length === length, { what: 'every byte' });
  } finally {
    globalThis.RangeError = original;
    outbound.abort(new Error('done'));
    inbound.abort(new Error('done'));
  }
  return { heard: Buffer.concat(heard), errors };
}

test('frames that are cut anywhere arrive as they were sent, and waiting for the next costs no error', async () => {
  const pieces = Array.from({ length: 200 }, (_, index) => Buffer.alloc(1 + index * 7, index));
  const stock = await heardBy(noise(), pieces);
  const patched = await heardBy(lengthsWithoutErrors(noise()), pieces);
  assert.deepEqual(stock.heard, Buffer.concat(pieces));
  assert.deepEqual(patched.heard, Buffer.concat(pieces));
  assert.ok(stock.errors >= pieces.length, `${stock.errors} errors of the library alone`);
  assert.equal(patched.errors, 0);
});
