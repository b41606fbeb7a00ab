/** What travels from main to a checker, on to the publisher, and back. Types alone; the codecs are beside this file. */

import type { Entry } from '../journal/entry.js';
import type { AnnouncedRecord } from '../messages/record.js';
import type { PeerIdText } from '../net/peer-id.js';
import type { AuthorStanding } from './standing.js';

/** An Ed25519 signature to be looked at, and what it is of. */
export interface Signed {
  /** 32 bytes. */
  readonly key: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
  /** What the author signed, the data among it. */
  readonly bytes: Uint8Array;
  /** Where the data begins there. */
  readonly dataAt: number;
}

/** A message that has come, unopened: what a checker gets of it. Main never looks inside `data`. */
export interface RawMessage {
  /** Id of the message kind. */
  readonly kind: number;
  /** Base58 peer ID of who signed it; a claim as long as nobody has looked at the signature. */
  readonly author: string;
  /** Unix ms. */
  readonly receivedAt: number;
  /** The author's, when the message came. */
  readonly standing: AuthorStanding;
  /** Pubsub data, either framing. */
  readonly data: Uint8Array;
  /** Undefined: the signature is known to hold. */
  readonly signed?: Signed | undefined;
}

/** Who announced a hash, by signature, and where it said to have it. */
export interface Announcer {
  readonly peer: PeerIdText;
  /** Data hub. */
  readonly dataHubUrl: string;
}

export interface KnownAnnouncers {
  /** In the order of the hashes that were asked about; of each the first announcer first. */
  readonly of: readonly (readonly Announcer[])[];
  /** Of each hash, whether nobody who announced it in the last ten minutes may have been forgotten for want of room. */
  readonly whole: readonly boolean[];
}

/** A message after the checker: what is stored of it once it is accepted, and what must be known until then. */
export interface CheckedMessage extends Entry {
  /** Index in OUTCOMES; repeat key, header, frame, record and all below `standing` are empty unless it says that the message is taken. */
  readonly outcome: number;
  readonly standing: AuthorStanding;
  /** A header in it proves that work was spent on the hash. */
  readonly proven: boolean;
  /** Kind and hash digested, for announcers a hash; empty where that has no meaning. */
  readonly hashKey: string;
  readonly record: AnnouncedRecord | undefined;
  /** JSON of a PeerFact, or empty. Main keeps it until the message is accepted. */
  readonly fact: string;
}

/** What the publisher answers for a batch: safe by now, Kafka or not. */
export interface PublishedBatch {
  /** One index into OUTCOMES a message, in the batch's order. */
  readonly outcomes: Uint8Array;
  /** Outbox depth afterwards. */
  readonly outboxDepth: number;
}
