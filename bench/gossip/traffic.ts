/** Signed announcements, made before they are needed: RPCs of one message each, as Go and JavaScript nodes send them. */

import '../../src/shared/process/polyfill.js';

import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import type { Ed25519PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import sodium from 'sodium-native';
import { encodeMessage, messageJson } from '../../src/shared/messages/encode.js';
import type { Framing } from '../../src/shared/messages/framing.js';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { sampleFields } from '../../test/support/sample-messages.js';

const PREFIX = Buffer.from('libp2p-pubsub:');
const INDEX_DIGITS = 16;
/** Every hash begins the same; where this ends stand the digits of the index. */
const SAME_DIGITS = '5eed'.repeat(12);
const HASH = SAME_DIGITS + 'f'.repeat(INDEX_DIGITS);
const SEQUENCE = Buffer.from('f1f2f3f4f5f6f7f8', 'hex');
const SIGNATURE = Buffer.alloc(64, 0xee);

export interface TrafficOptions {
  /** Messages in all. */
  readonly messages: number;
  /** `subtree` unless told; or `block`. */
  readonly kind?: 'subtree' | 'block';
  /** `direct` unless told. */
  readonly framing?: Framing;
  /** Number in the first hash; 0 unless told. What was announced before is a repeat, so another run begins elsewhere. */
  readonly first?: number;
  /** Of each author's messages every so many says what the one before said; none unless told. */
  readonly repeatEvery?: number;
}

/** What is filled in for each message. */
interface Template {
  /** What stands where the hash is, for its last digits. */
  readonly hashed: (digits: string) => string;
  readonly signed: Buffer;
  readonly inSigned: { readonly hash: number; readonly sequence: number };
  readonly frame: Buffer;
  readonly inFrame: { readonly hash: number; readonly sequence: number; readonly signature: number };
  readonly secretKey: Uint8Array;
}

/**
 * RPCs on the wire, length first, all of one size. The authors take turns; each announces the hashes of `first` and so on in order,
 * so with several every hash is announced by all of them.
 */
export class Traffic {
  readonly messages: number;
  readonly #frames: Buffer;
  readonly #size: number;

  /** The same authors, topic and options make the same bytes: Ed25519 signs without chance. Throws RangeError on no author. */
  constructor(
    authors: readonly Ed25519PrivateKey[],
    topic: string,
    {
      messages,
      kind = 'subtree',
      framing = 'direct',
      first = 0,
      repeatEvery = Number.POSITIVE_INFINITY,
    }: TrafficOptions,
  ) {
    const templates = authors.map((author) => templateOf(author, topic, kind, framing));
    this.messages = messages;
    this.#size = templates[0]?.frame.length ?? 0;
    if (templates.length === 0 || templates.some(({ frame }) => frame.length !== this.#size)) {
      throw new RangeError('no authors, or messages of different sizes');
    }
    this.#frames = Buffer.alloc(messages * this.#size);
    for (let index = 0, at = 0; index < messages; index++, at += this.#size) {
      const { hashed, signed, inSigned, frame, inFrame, secretKey } = templates[
        index % templates.length
      ] as Template;
      const nth = Math.floor(index / templates.length);
      const hash = hashed(digitsOf(first + (nth % repeatEvery === repeatEvery - 1 ? nth - 1 : nth)));
      signed.write(hash, inSigned.hash, 'latin1');
      signed.writeBigUInt64BE(BigInt(index) + 1n, inSigned.sequence);
      this.#frames.set(frame, at);
      this.#frames.write(hash, at + inFrame.hash, 'latin1');
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

function templateOf(
  author: Ed25519PrivateKey,
  topic: string,
  name: 'subtree' | 'block',
  framing: Framing,
): Template {
  const peerId = peerIdFromPrivateKey(author);
  const kind = MESSAGE_KINDS.find((each) => each.name === name);
  if (kind === undefined) throw new RangeError(`no kind ${name}`);
  const fields = {
    ...sampleFields(name, peerId.toString()),
    hash: HASH,
    dataHubUrl: 'https://hub.example.org:8090/api/v1',
    clientName: 'bench',
    // Older nodes send none.
    ...(name === 'block' ? { header: '' } : {}),
  };
  const data = encodeMessage(kind, fields, framing, 'bench');
  const hashed =
    framing === 'direct' ? (digits: string) => digits : inBase64(messageJson(kind, fields, framing));
  const sought = hashed(HASH.slice(SAME_DIGITS.length));
  const unsigned = { from: peerId.toMultihash().bytes, data, seqno: SEQUENCE, topic };
  const signed = Buffer.concat([PREFIX, RPC.Message.encode(unsigned)]);
  const frame = delimited(
    RPC.encode({ subscriptions: [], messages: [{ ...unsigned, signature: SIGNATURE }] }),
  );
  return {
    hashed,
    signed,
    inSigned: { hash: signed.indexOf(sought), sequence: signed.indexOf(SEQUENCE) },
    frame,
    inFrame: {
      hash: frame.indexOf(sought),
      sequence: frame.indexOf(SEQUENCE),
      signature: frame.indexOf(SIGNATURE),
    },
    secretKey: author.raw,
  };
}

/** The part of the base64 of `json` in which the hash's last digits are: from one whole group of three bytes to another. */
function inBase64(json: string): (digits: string) => string {
  const bytes = Buffer.from(json);
  const at = bytes.indexOf(HASH) + SAME_DIGITS.length;
  const from = at - (at % 3);
  const part = bytes.subarray(from, from + Math.ceil((at - from + INDEX_DIGITS) / 3) * 3);
  return (digits) => {
    part.write(digits, at - from, 'latin1');
    return part.toString('base64');
  };
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

/** The hash of number `index`, in display order. */
export const hashAt = (index: number): string => SAME_DIGITS + digitsOf(index);

const digitsOf = (index: number): string => index.toString(16).padStart(INDEX_DIGITS, '0');

/** The index in the hash of message `text`, in display order; undefined where there is none of ours. */
export function indexIn(hash: string): number | undefined {
  return hash.length === HASH.length && hash.startsWith(SAME_DIGITS)
    ? Number.parseInt(hash.slice(SAME_DIGITS.length), 16)
    : undefined;
}
