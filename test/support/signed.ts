/** Messages as main hands them to the checkers: signed, and not yet verified. */

import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import type { IncomingMessage } from '../../src/main/node/types.js';
import type { PeerIdText } from '../../src/shared/net/peer-id.js';

const ED25519_AUTHOR = Buffer.from('002408011220', 'hex');

export interface Signer {
  /** Base58. */
  readonly id: PeerIdText;
  /** Signs `data` among other bytes, as gossip does. */
  sign(kind: number, data: Uint8Array | string, source?: PeerIdText): IncomingMessage;
}

export function createSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const key = rawKey(publicKey);
  const id = base58btc.encode(Buffer.concat([ED25519_AUTHOR, key])).slice(1) as PeerIdText;
  return {
    id,
    sign(kind, data, source = id) {
      const before = Buffer.from('libp2p-pubsub:…');
      const bytes = Buffer.concat([before, Buffer.from(data), Buffer.from(' topic')]);
      const signature = sign(null, bytes, privateKey);
      const view = bytes.subarray(before.length, bytes.length - 6);
      return {
        kind,
        author: id,
        source,
        data: view,
        signed: { key, signature, bytes, dataAt: before.length },
      };
    },
  };
}

function rawKey(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'spki' }).subarray(12);
}

/** The same with a signature that does not hold. */
export function forged(message: IncomingMessage): IncomingMessage {
  const signature = Buffer.from(message.signed.signature);
  signature[7] = (signature[7] ?? 0) ^ 1;
  return { ...message, signed: { ...message.signed, signature } };
}
