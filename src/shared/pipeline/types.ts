/** What travels from main to a checker, on to the publisher, and back. Types alone; the codecs are beside this file. */

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

/** A message that has come, unopened. Main never looks inside `data`. */
export interface RawMessage {
  /** Id of the message kind. */
  readonly kind: number;
  /** Base58 peer ID of who signed it; a claim as long as nobody has looked at the signature. */
  readonly author: string;
  /** Base58 peer ID of the neighbour that sent it here. */
  readonly source: string;
  /** Unix ms. */
  readonly receivedAt: number;
  /** The author's, when the message came. */
  readonly standing: AuthorStanding;
  /** Pubsub data, either framing. */
  readonly data: Uint8Array;
  /** Undefined: the signature is known to hold. */
  readonly signed?: Signed | undefined;
}

/** A record for Kafka, encoded, and what it is about. */
export interface AnnouncedRecord {
  /** Id of the Kafka topic. */
  readonly topic: number;
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  /** Kafka key; empty in the first generation. */
  readonly key: Uint8Array;
  /** Kafka value in the configured format. */
  readonly value: Uint8Array;
  /** Data hub of the announcer, for BlockFound. */
  readonly url: string;
}

/** Who announced a hash, by signature, and where it said to have it. */
export interface Announcer {
  /** Base58. */
  readonly peer: string;
  /** Data hub. */
  readonly url: string;
}

export interface KnownAnnouncers {
  /** In the order of the hashes that were asked about; of each the first announcer first. */
  readonly of: readonly (readonly Announcer[])[];
  /** Of each hash, whether nobody who announced it in the last ten minutes may have been forgotten for want of room. */
  readonly whole: readonly boolean[];
}

/** What a message says of its author: kept by main, never by the publisher. */
export type PeerFact =
  | { readonly type: 'best_block_requested'; readonly peer: string }
  | {
      readonly type: 'block';
      readonly peer: string;
      readonly height: number;
      readonly hash: string;
      readonly url: string;
      readonly clientName: string;
      /** 160 hex digits, or empty in the first generation. */
      readonly header: string;
    }
  | {
      readonly type: 'node_status';
      readonly peer: string;
      readonly height: number;
      readonly hash: string;
      readonly url: string;
      readonly clientName: string;
      readonly storage: string;
      /** Hex, or empty. */
      readonly chainWork: string;
    };

/** A message after the checker. */
export interface CheckedMessage {
  /** Index in OUTCOMES; everything below `receivedAt` is empty unless it says that the message is taken. */
  readonly outcome: number;
  readonly kind: number;
  readonly own: boolean;
  readonly author: string;
  readonly standing: AuthorStanding;
  /** A header in it proves that work was spent on the hash. */
  readonly proven: boolean;
  readonly receivedAt: number;
  /** Kind, originator, hash and URL digested: 16 bytes as latin1 text. Empty for kinds that are never repeats. */
  readonly repeatKey: string;
  /** Kind and hash digested, for announcers a hash; empty where that has no meaning. */
  readonly hashKey: string;
  /** The WebSocket frame, compact JSON in UTF-8; empty when there is none. */
  readonly frame: Uint8Array;
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
