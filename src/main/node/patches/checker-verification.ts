/**
 * Signatures off the main thread.
 *
 * Reason: GossipSub verifies each signature where it stands, 120–170 µs of the thread that carries everything else, and
 * verifies every copy of a message that arrives before the first is through.
 *
 * What it replaces is `validateReceivedMessage`, for well-formed messages of Ed25519 authors on our topics; anything else
 * (another key type, a key that is not the author's, wrong lengths) goes to the library's own, which knows how to refuse
 * it. The order is the library's and matters: fast id, signature, and only then the caches of what was seen, so that a
 * forged copy sent first cannot silence the real message. What nobody looked at, because there was too much of it or its author
 * is banned, touches none of these caches either, and is thrown (see `blameAuthorsAlone`): it has no author before its signature.
 *
 * Whoever verifies checks the message as well, and says so with it: see `judgementOf`.
 */

import { hash } from 'node:crypto';
import type { Message } from '@chainsafe/libp2p-gossipsub';
import type { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { MessageStatus, RejectReason, ValidateError } from '@chainsafe/libp2p-gossipsub/types';
import type { PeerId } from '@libp2p/interface';
import { peerIdFromMultihash } from '@libp2p/peer-id';
import { LRUCache } from 'lru-cache';
import { base58btc } from 'multiformats/bases/base58';
import * as Digest from 'multiformats/hashes/digest';
import type { MessageKind } from '../../../shared/messages/kind.js';
import { type PeerIdText, peerIdText } from '../../../shared/net/peer-id.js';
import { messageIdText } from '../messages/message-id.js';
import {
  AUTHOR_LENGTH,
  authorKey,
  isWellFormed,
  SEQUENCE_LENGTH,
  takeOutOfRpc,
  wholeOf,
} from '../messages/signed-message.js';
import type { IncomingMessage, Judgement } from '../messages/types.js';
import { UNVERIFIED, type Validated } from './author-blame.js';

const AUTHORS_REMEMBERED = 10_000;
const NO_DATA = new Uint8Array(0);

/** What GossipSub has and its exported type does not show. */
export interface VerifyingGossip {
  validateReceivedMessage(from: PeerId, message: RPC.Message): Promise<Validated>;
  sendIDontWants(id: Uint8Array, topic: string, except: string): void;
  seenCache: { has(id: string): boolean; put(id: string): boolean };
  fastMsgIdCache?: { get(id: string): string | undefined; put(id: string, value: string): boolean };
  readonly opts: { readonly idontwantMinDataSize: number };
}

/** Who verifies. `name` stands for all of the message, signature and key included. Never rejects. */
export interface Verifier {
  judge(name: string, message: IncomingMessage): Promise<Judgement>;
}

/** Beside what GossipSub's events tell of a message: what was found out about it. */
const JUDGEMENT = Symbol('judgement');
type JudgedMessage = Message & { readonly [JUDGEMENT]?: Judgement };

/** What was found out about a message of GossipSub's events; undefined where the library verified it. */
export function judgementOf(message: Message): Judgement | undefined {
  return (message as JudgedMessage)[JUDGEMENT];
}

/** Applies the patch to one GossipSub. */
export function verifyByCheckers(
  gossip: VerifyingGossip,
  verifier: Verifier,
  kindOfTopic: ReadonlyMap<string, Pick<MessageKind, 'id'>>,
): void {
  const stock = gossip.validateReceivedMessage.bind(gossip);
  const known = new Map(
    [...kindOfTopic].map(([topic, { id }]) => [topic, { kind: id, topic: Buffer.from(topic) }]),
  );
  const authors = new LRUCache<string, PeerId>({ max: AUTHORS_REMEMBERED });

  gossip.validateReceivedMessage = async (source, message) => {
    const of = known.get(message.topic);
    const fastIds = gossip.fastMsgIdCache;
    if (of === undefined || fastIds === undefined || !isWellFormed(message)) return stock(source, message);

    const { kind, topic } = of;
    const { whole, signedLength, dataAt } = wholeOf(message, topic);
    const fastId = hash('sha256', whole, 'binary');
    const seenAs = fastIds.get(fastId);
    if (seenAs !== undefined) return { code: MessageStatus.duplicate, msgIdStr: seenAs };

    // From here on it is kept, by who waits for it too.
    takeOutOfRpc(message);
    const { from, data, seqno, signature } = message;
    const authorText = messageIdText(from);
    // Only of authors whose signature held: names cost nothing, and would push these out.
    let author = authors.get(authorText);
    const judgement = await verifier.judge(fastId, {
      kind,
      author: author === undefined ? (base58btc.encode(from).slice(1) as PeerIdText) : peerIdText(author),
      source: peerIdText(source),
      data: data ?? NO_DATA,
      signed: {
        key: authorKey(from),
        signature,
        bytes: whole.subarray(0, signedLength),
        dataAt,
      },
    });
    if (judgement.signature === 'forged') {
      return {
        code: MessageStatus.invalid,
        reason: RejectReason.Error,
        error: ValidateError.InvalidSignature,
      };
    }
    if (judgement.signature !== 'holds') throw UNVERIFIED;

    if (author === undefined) {
      author = peerIdFromMultihash(Digest.decode(from));
      authors.set(authorText, author);
    }
    const publicKey = author.publicKey;
    if (publicKey === undefined) return stock(source, message);

    const msgId = Buffer.allocUnsafe(AUTHOR_LENGTH + SEQUENCE_LENGTH);
    msgId.set(from);
    msgId.set(seqno, AUTHOR_LENGTH);
    const msgIdStr = messageIdText(msgId);
    fastIds.put(fastId, msgIdStr);
    if (gossip.seenCache.has(msgIdStr)) return { code: MessageStatus.duplicate, msgIdStr };
    gossip.seenCache.put(msgIdStr);
    if ((data?.length ?? 0) >= gossip.opts.idontwantMinDataSize) {
      gossip.sendIDontWants(msgId, message.topic, source.toString());
    }
    const msg: JudgedMessage = {
      type: 'signed',
      from: author,
      data: data ?? NO_DATA,
      sequenceNumber: msgId.readBigUInt64BE(AUTHOR_LENGTH),
      topic: message.topic,
      signature,
      key: publicKey,
      [JUDGEMENT]: judgement,
    };
    return { code: MessageStatus.valid, messageId: { msgId, msgIdStr }, msg };
  };
}
