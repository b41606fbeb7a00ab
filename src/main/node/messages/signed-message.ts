/** A signed gossip message of an Ed25519 author as bytes: whether it has the form of one, and what its author signed. */

import type { RPC } from '@chainsafe/libp2p-gossipsub/message';

const SIGN_PREFIX = Buffer.from('libp2p-pubsub:');
/** Multihash of an Ed25519 peer ID up to its 32 bytes of key: identity, 36 bytes, protobuf of type and key. */
const ED25519_AUTHOR = Buffer.from('002408011220', 'hex');
const SIGNATURE_LENGTH = 64;

/** Bytes of an Ed25519 author's peer ID. */
export const AUTHOR_LENGTH = 38;
/** Bytes of a sequence number. */
export const SEQUENCE_LENGTH = 8;

export interface WellFormedMessage extends RPC.Message {
  from: Uint8Array;
  seqno: Uint8Array;
  signature: Uint8Array;
}

export function isEd25519Author(from: Uint8Array | undefined): from is Uint8Array {
  return from?.length === AUTHOR_LENGTH && startsWith(from, ED25519_AUTHOR);
}

/** The 32 bytes of an Ed25519 author's key. */
export function authorKey(from: Uint8Array): Uint8Array {
  return from.subarray(ED25519_AUTHOR.length);
}

/** Whether it is as an Ed25519 author's message is; not whether it is signed. */
export function isWellFormed(message: RPC.Message): message is WellFormedMessage {
  const { from, seqno, signature, key } = message;
  return (
    isEd25519Author(from) &&
    seqno?.length === SEQUENCE_LENGTH &&
    signature?.length === SIGNATURE_LENGTH &&
    (key === undefined || (key.length === AUTHOR_LENGTH - 2 && startsWith(from.subarray(2), key)))
  );
}

/**
 * What was signed, as the author wrote it: `signedLength` bytes, with the data from `dataAt` on; behind it signature and key, so that all
 * of it stands for the message.
 */
export function wholeOf(
  { from, data, seqno, signature, key }: WellFormedMessage,
  topic: Uint8Array,
): { whole: Buffer; signedLength: number; dataAt: number } {
  const dataLength = data === undefined ? 0 : 1 + varintLength(data.length) + data.length;
  const signedLength =
    SIGN_PREFIX.length +
    2 +
    from.length +
    dataLength +
    2 +
    seqno.length +
    1 +
    varintLength(topic.length) +
    topic.length;
  const whole = Buffer.allocUnsafe(signedLength + signature.length + (key?.length ?? 0));
  whole.set(SIGN_PREFIX);
  let at = writeField(whole, SIGN_PREFIX.length, 0x0a, from);
  if (data !== undefined) at = writeField(whole, at, 0x12, data);
  const dataAt = at - (data?.length ?? 0);
  at = writeField(whole, at, 0x1a, seqno);
  at = writeField(whole, at, 0x22, topic);
  whole.set(signature, at);
  if (key !== undefined) whole.set(key, at + signature.length);
  return { whole, signedLength, dataAt };
}

/**
 * Gives a message bytes of its own. Decoded they are views of the RPC that it came in: up to 2 MiB, of whatever else the neighbour put into it, would
 * be kept for as long as one small message of it.
 */
export function takeOutOfRpc(message: WellFormedMessage): void {
  message.from = new Uint8Array(message.from);
  message.seqno = new Uint8Array(message.seqno);
  message.signature = new Uint8Array(message.signature);
  if (message.data !== undefined) message.data = new Uint8Array(message.data);
  if (message.key !== undefined) message.key = new Uint8Array(message.key);
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) if (bytes[index] !== prefix[index]) return false;
  return true;
}

function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

function writeField(out: Buffer, at: number, tag: number, bytes: Uint8Array): number {
  out[at++] = tag;
  let length = bytes.length;
  while (length >= 0x80) {
    out[at++] = (length & 0x7f) | 0x80;
    length >>>= 7;
  }
  out[at++] = length;
  out.set(bytes, at);
  return at + bytes.length;
}
