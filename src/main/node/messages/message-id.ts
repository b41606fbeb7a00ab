/** Names of gossip messages: the one that goes over the wire, and the one that is only ours. */

import { hash } from 'node:crypto';
import type { Message } from '@chainsafe/libp2p-gossipsub';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';

/**
 * Go's message id: the author's peer ID as a multihash, then the 8-byte big-endian sequence number. 46 bytes beginning
 * `00240801` for an Ed25519 author. Throws TypeError on an unsigned message.
 */
export function messageId(message: Message): Uint8Array {
  if (message.type !== 'signed') throw new TypeError('an unsigned message has no id');
  const author = message.from.toMultihash().bytes;
  const id = Buffer.allocUnsafe(author.length + 8);
  id.set(author);
  id.writeBigUInt64BE(message.sequenceNumber, author.length);
  return id;
}

/** A message id as text: a character a byte, which costs least. */
export function messageIdText(id: Uint8Array): string {
  return Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('binary');
}

/**
 * Recognises a copy before its signature is verified: SHA-256 over all of the message, signature and key included, so
 * that a forged copy never bears the name of the real one. Remembered only of verified messages.
 */
export function fastMessageId(message: RPC.Message): string {
  return hash('sha256', RPC.Message.encode(message), 'binary');
}
