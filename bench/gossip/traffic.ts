/** Signed subtree announcements, made before they are needed: RPCs of one message each, as Go and JavaScript nodes send them. */

import '../../src/shared/polyfill.js';

import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import sodium from 'sodium-native';
import { encodeMessage } from '../../src/shared/messages/encode.js';
import { subtree } from '../../src/shared/messages/subtree.js';

const PREFIX = Buffer.from('libp2p-pubsub:');
/** Stands where the digits of the index go; every hash has the same rest. */
const INDEX_DIGITS = 16;
const HASH = `${'f'.repeat(INDEX_DIGITS)}${'5eed'.repeat(12)}`;
const SEQUENCE = Buffer.from('f1f2f3f4f5f6f7f8', 'hex');
const SIGNATURE = Buffer.alloc(64, 0xee);

/** RPCs on the wire, length first, all of one size. */
export class Traffic {
  readonly messages: number;
  readonly #frames: Buffer;
  readonly #size: number;

  /** The same author, topic and count make the same bytes: Ed25519 signs without chance. */
  constructor(author: Ed25519PrivateKey, topic: string, messages: number) {
    this.messages = messages;
    const peerId = peerIdFromPrivateKey(author);
    const data = encodeMessage(
      subtree,
      {
        hash: HASH,
        dataHubUrl: 'https://hub.example.org:8090/api/v1',
        peerId: peerId.toString(),
        clientName: 'bench',
      },
      'direct',
      'bench',
    );
    const unsigned = { from: peerId.toMultihash().bytes, data, seqno: SEQUENCE, topic };
    const signed = Buffer.concat([PREFIX, RPC.Message.encode(unsigned)]);
    const rpc = RPC.encode({ subscriptions: [], messages: [{ ...unsigned, signature: SIGNATURE }] });
    const frame = delimited(rpc);
    const inSigned = { hash: signed.indexOf(HASH), sequence: signed.indexOf(SEQUENCE) };
    const inFrame = {
      hash: frame.indexOf(HASH),
      sequence: frame.indexOf(SEQUENCE),
      signature: frame.indexOf(SIGNATURE),
    };
    this.#size = frame.length;
    this.#frames = Buffer.alloc(messages * frame.length);
    const secretKey = author.raw;
    for (let index = 0, at = 0; index < messages; index++, at += frame.length) {
      const digits = index.toString(16).padStart(INDEX_DIGITS, '0');
      signed.write(digits, inSigned.hash, 'latin1');
      signed.writeBigUInt64BE(BigInt(index) + 1n, inSigned.sequence);
      this.#frames.set(frame, at);
      this.#frames.write(digits, at + inFrame.hash, 'latin1');
      this.#frames.writeBigUInt64BE(BigInt(index) + 1n, at + inFrame.sequence);
      const signatureAt = at + inFrame.signature;
      sodium.crypto_sign_detached(this.#frames.subarray(signatureAt, signatureAt + 64), signed, secretKey);
    }
  }

  /** Bytes of one RPC. */
  get size(): number {
    return this.#size;
  }

  frame(index: number): Uint8Array {
    return this.#frames.subarray(index * this.#size, (index + 1) * this.#size);
  }
}

/** An RPC that joins `topic`. */
export function subscription(topic: string): Uint8Array {
  return delimited(RPC.encode({ subscriptions: [{ subscribe: true, topic }], messages: [] }));
}

function delimited(bytes: Uint8Array): Buffer {
  const length: number[] = [];
  let left = bytes.length;
  for (; left >= 0x80; left >>>= 7) length.push((left & 0x7f) | 0x80);
  return Buffer.concat([Uint8Array.from([...length, left]), bytes]);
}

/** The index in the hash of message `text`, in display order; undefined where there is none of ours. */
export function indexIn(hash: string): number | undefined {
  return hash.length === HASH.length && hash.endsWith(HASH.slice(INDEX_DIGITS))
    ? Number.parseInt(hash.slice(0, INDEX_DIGITS), 16)
    : undefined;
}
