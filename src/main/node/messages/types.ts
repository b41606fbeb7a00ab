/** A gossip message on its way through the node: as it comes, what is found out about it, and as it waits for its verdict. */

import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { Signed } from '../../../shared/pipeline/types.js';

/** A gossip message that has come, unopened, and that nobody has verified: who signed it is a claim. */
export interface IncomingMessage {
  /** Index in the table of message kinds. */
  readonly kind: number;
  /** Base58. */
  readonly author: PeerIdText;
  /** Base58; the propagation source. */
  readonly source: PeerIdText;
  readonly data: Uint8Array;
  readonly signed: Signed;
}

/** What was found out about a message that came. */
export interface Judgement {
  /**
   * `refused`: nobody looked at it, for reasons that every copy of it shares. `shed`: nobody looked at this copy. `poisonous`: it
   * kills who looks.
   */
  readonly signature: 'holds' | 'forged' | 'refused' | 'shed' | 'poisonous';
  /** Who looked at the signature: a thread of the pool, or main itself. */
  readonly where: 'thread' | 'main';
}

/** A message on its way through a checker. */
export interface Checking {
  /** Settles in the order in which messages were handed to the checkers; never rejects. */
  readonly judgement: Promise<Judgement>;
  /** The same message has come from another neighbour as well. */
  copyFrom(source: PeerIdText): void;
}

/** Verifies what comes and, if the signature holds, goes on to check it: one way to a checker and back for both. */
export interface MessageChecks {
  check(message: IncomingMessage): Checking;
}

/** A gossip message whose signature holds, unopened, waiting for a verdict. */
export interface ReceivedMessage {
  /** GossipSub's message id, as its events give it. */
  readonly id: string;
  /** Id of the message kind. */
  readonly kind: number;
  /** Base58. */
  readonly author: PeerIdText;
  /** Base58; the propagation source. */
  readonly source: PeerIdText;
  readonly data: Uint8Array;
  /** As the checks gave it; undefined where the library verified. */
  readonly judgement?: Judgement | undefined;
}
