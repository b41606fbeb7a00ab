/**
 * The thread that verifies Ed25519 signatures with libsodium: a batch in, one byte a signature out. It remembers nothing,
 * so that it can be replaced at any moment and its batch given to another.
 */

import { parentPort } from 'node:worker_threads';
import sodium from 'sodium-native';
import { steadyLibraries } from '../shared/clock.js';
import { decodeSignatures, type VerifyRequest, type VerifyResponse } from '../shared/signature-batch.js';

steadyLibraries();

const port = parentPort;
if (port === null) throw new Error('the verifier runs as a worker thread');

port.on('message', ({ id, batch }: VerifyRequest) => {
  const items = decodeSignatures(batch);
  const holds = new Uint8Array(items.length);
  items.forEach(({ signature, bytes, key }, index) => {
    holds[index] = Number(sodium.crypto_sign_verify_detached(signature, bytes, key));
  });
  const response: VerifyResponse = { id, holds };
  port.postMessage(response, [holds.buffer]);
});
