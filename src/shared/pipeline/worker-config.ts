/** What main tells its worker threads at their birth: plain data, cloned. */

import type { PeerIdText } from '../net/peer-id.js';
import type { Settings } from '../settings/table.js';
import type { DeadLetter, OutboxTopic } from '../sinks/types.js';
import type { TracedMessage, TracingOrder } from '../tracing/types.js';

/** For a checker; the tip's bits follow with each batch. */
export interface CheckerConfig {
  readonly settings: Settings;
}

/** For the publisher. */
export interface PublisherConfig {
  readonly settings: Settings;
  /** Directory of the journal, owned by the publisher alone. */
  readonly journalPath: string;
  /** Local socket on which the publisher serves frames. */
  readonly frameSocketPath: string;
  /** Local socket of the embedded broker; undefined where no topic is `memory://`. */
  readonly brokerSocketPath: string | undefined;
  /** URL, name and id of this node for records and frames. */
  readonly peerId: PeerIdText;
  readonly logLevel: string;
  /** Undefined: nothing is traced. */
  readonly tracing?: TracingOrder | undefined;
}

/** For the thread of the embedded broker. */
/** Main → the broker's thread. */
export type BrokerOrder = 'stop' | { readonly level: string };

export interface BrokerConfig {
  /** Local socket on which it serves. */
  readonly socketPath: string;
  readonly logLevel: string;
  /** `p2p_heap_broker`; Node's own limit where absent. */
  readonly heapMb?: number;
  /** `clientName`, for its log lines. */
  readonly node?: string;
  /** Largest record in bytes, key and value together; Kafka's own bound where absent. */
  readonly maxRecordBytes?: number;
  /** Records and bytes kept of all topics together; the broker's defaults where absent. */
  readonly maxRecords?: number;
  readonly maxBytes?: number;
}

/** What the broker's thread tells main: it serves, or why it cannot. It ends at main's `stop`. */
export type BrokerReport = { readonly ready: true } | { readonly error: string };

/** A task for a checker. The reply is the checked batch, transferred. */
export interface CheckTask {
  readonly batch: ArrayBuffer;
  /** Compact target of our tip; 0 while unknown. */
  readonly tipBits: number;
}

/** Tasks for the publisher, and what each is answered. */
export interface PublisherTasks {
  /**
   * `id`: an integer that no other batch has. `retry`: a publisher that died may have had this batch before, so what it kept of it is
   * `ok`, and not stored again. The batches before it in the order are retried too.
   */
  publish: {
    request: {
      readonly batch: ArrayBuffer;
      readonly id: number;
      readonly retry: boolean;
      /** Its messages that are traced, where there are any. */
      readonly traced?: readonly TracedMessage[];
    };
    response: import('./types.js').PublishedBatch;
  };
  /** Who announced each hash in the last ten minutes; nobody after a publisher's death. */
  announcers: {
    request: {
      /** Id of the Kafka topic. */
      readonly topic: number;
      readonly hashes: readonly import('../bitcoin/hash.js').HashHex[];
    };
    response: import('./types.js').KnownAnnouncers;
  };
  health: { request: Record<never, never>; response: readonly import('../health.js').DependencyHealth[] };
  /** prom-client's JSON of the publisher's registry. */
  metrics: { request: Record<never, never>; response: readonly object[] };
  level: { request: { readonly level: string }; response: null };
  /** Gives Kafka until `deadline` (monotonic) for what is in the outbox, then closes everything. */
  close: { request: { readonly deadline: number }; response: { readonly left: number } };
  outbox: { request: Record<never, never>; response: readonly OutboxTopic[] };
  deadLetters: { request: { readonly limit: number }; response: readonly DeadLetter[] };
  /** Puts dead letters back into the outbox. */
  replayDeadLetters: { request: Record<never, never>; response: { readonly replayed: number } };
  /** Lets a topic go on past what cannot be read back. Rejects where it has nothing to accept. */
  acceptLoss: { request: { readonly topic: string }; response: null };
  /** Drops the cursor of a sink that no setting names. Rejects where there is none such. */
  forget: { request: { readonly cursor: string }; response: null };
}

export type PublisherTask = {
  [K in keyof PublisherTasks]: { readonly op: K } & PublisherTasks[K]['request'];
}[keyof PublisherTasks];
