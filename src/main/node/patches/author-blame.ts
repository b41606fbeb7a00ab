/**
 * Who passes on a message that we find invalid is not scored for it, unless it wrote it.
 *
 * Reason: an honest Go node passes on what Go takes for signed, which is not what we take for signed. Its sequence number
 * may have another length; unknown protobuf fields are signed and passed on by Go and dropped by the decoder here;
 * libsodium refuses keys of small order, Go does not; and there are ECDSA authors. With the library's way, twenty such
 * messages, sent through the network by anybody, would have all our neighbours graylisted. A forger gains nothing: it
 * could as well sign its junk with a new key each time, and its budget bounds both.
 *
 * What nobody has looked at is nobody's message yet: it is dropped likewise, and counted by who refused it.
 *
 * Authors without an Ed25519 key, of which this network has none, are not verified at all: it would be done on the main
 * thread, at a multiple of the cost, as often as a neighbour likes.
 */

import type { Message } from '@chainsafe/libp2p-gossipsub';
import type { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { MessageStatus, type RejectReason, type ValidateError } from '@chainsafe/libp2p-gossipsub/types';
import type { PeerId } from '@libp2p/interface';
import { type PeerIdText, peerIdText } from '../../../shared/net/peer-id.js';
import { messageIdText } from '../messages/message-id.js';
import { isEd25519Author } from '../messages/signed-message.js';

/** What GossipSub finds out about a message before it hands it out. */
export type Validated =
  | { code: MessageStatus.duplicate; msgIdStr: string }
  | { code: MessageStatus.invalid; reason: RejectReason; error?: ValidateError; msgIdStr?: string }
  | { code: MessageStatus.valid; messageId: { msgId: Uint8Array; msgIdStr: string }; msg: Message };

/** What GossipSub has and its exported type does not show. */
export interface BlamingGossip {
  validateReceivedMessage(from: PeerId, message: RPC.Message): Promise<Validated>;
  readonly gossipTracer: { readonly promises: ReadonlyMap<string, Map<string, number>> };
}

/** Thrown where the library would score the neighbour; it only logs what is thrown, at its debug level. */
class UnblamedMessageError extends Error {
  override readonly name = 'UnblamedMessageError';
}
// Made once: strangers decide how often they are thrown.
const UNKNOWN_AUTHOR = new UnblamedMessageError('the author has no Ed25519 key');
const RELAYED = new UnblamedMessageError('somebody else’s message is not valid');
/** Thrown by who verifies, where nobody has: it was too much, or its author is banned. */
export const UNVERIFIED = new UnblamedMessageError('nobody has looked at its signature');

/** `onDropped`: a message is dropped without blame. `onForged`: a peer has sent an invalid message in its own name. */
export function blameAuthorsAlone(
  gossip: BlamingGossip,
  { onDropped, onForged }: { onDropped: () => void; onForged: (peerId: PeerIdText) => void },
): void {
  const validate = gossip.validateReceivedMessage.bind(gossip);
  // We may have asked for it, and it has come: a promise not kept would cost the neighbour as much.
  const keepPromise = (source: PeerId, { from, seqno }: RPC.Message): void => {
    const { promises } = gossip.gossipTracer;
    if (promises.size === 0 || from === undefined || seqno === undefined) return;
    promises.get(messageIdText(Buffer.concat([from, seqno])))?.delete(source.toString());
  };
  gossip.validateReceivedMessage = async (source, message) => {
    if (!isEd25519Author(message.from)) {
      onDropped();
      keepPromise(source, message);
      throw UNKNOWN_AUTHOR;
    }
    let validated: Validated;
    try {
      validated = await validate(source, message);
    } catch (error) {
      if (error === UNVERIFIED) keepPromise(source, message);
      throw error;
    }
    if (validated.code === MessageStatus.invalid && !source.equals(message.from)) {
      onDropped();
      keepPromise(source, message);
      throw RELAYED;
    }
    if (validated.code === MessageStatus.invalid) onForged(peerIdText(source));
    return validated;
  };
}

/**
 * Scores a peer for one bad message that it wrote itself, and nobody else.
 *
 * Reason: reporting `Reject` also scores every peer from which a copy came meanwhile, and every one that sends a copy
 * later; honest nodes forward whatever is signed. So the message is reported as ignored, and its author scored as for a
 * signature that does not hold.
 */
export function scoreInvalidMessage(
  gossip: { readonly score: { rejectInvalidMessage(from: string, topic: string): void } },
  peerId: string,
  topic: string,
): void {
  gossip.score.rejectInvalidMessage(peerId, topic);
}
