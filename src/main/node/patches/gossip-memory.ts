/**
 * What GossipSub remembers of messages, in a bounded number of bytes.
 *
 * Reason: it keeps the id of each message for two minutes three times over, as text in maps (seen, known before verification, delivered), and messages
 * for five heartbeats, all without a bound: at 6,000 messages a second some 500 MiB, which the garbage collector walks besides.
 *
 * Gain: ids are numbers in a table (remembered-ids.ts). What is delivered is remembered of the newest messages alone, for it only serves
 * scores that are off (P3). When the bytes are used up, the oldest ids and the oldest messages that have their verdict are forgotten: a
 * copy that comes that late is checked once more, and is a repeat to the publisher.
 */

import { QUEUES } from '../../../shared/queues.js';
import { KnownIds, SeenIds } from '../messages/remembered-ids.js';

/** Of the bytes for ids: how many go to those known before verification, which are more than twice as large. */
const KNOWN_SHARE = 0.7;

interface CachedMessage {
  readonly message: { readonly data?: Uint8Array };
  readonly validated: boolean;
}

export interface MessageCacheInternals {
  readonly msgs: Map<string, CachedMessage>;
  readonly history: { readonly msgIdStr: string }[][];
  notValidatedCount: number;
  put(
    id: { readonly msgIdStr: string },
    message: { readonly data?: Uint8Array },
    validated?: boolean,
  ): boolean;
  remove(id: string): CachedMessage | null;
  shift(): void;
}

/** What a message takes besides its data: id, author, signature, and a set and a map for who sent it and who asked for it. */
const CACHED_BYTES = 1_200;

const cachedBytes = ({ data }: { readonly data?: Uint8Array }): number => (data?.length ?? 0) + CACHED_BYTES;

/**
 * Bounds the messages that are kept for whoever asks. One without its verdict stays, or it could not be passed on: those are bounded by what may
 * be pending. Returns the bytes held now.
 */
export function boundMessages(cache: MessageCacheInternals, maxBytes: number): () => number {
  let bytes = 0;
  const forget = (id: string): void => {
    const entry = cache.msgs.get(id);
    if (entry === undefined) return;
    bytes -= cachedBytes(entry.message);
  };
  const { put, remove, shift } = cache;
  cache.put = (id, message, validated) => {
    if (!put.call(cache, id, message, validated)) return false;
    bytes += cachedBytes(message);
    if (bytes > maxBytes) makeRoom();
    return true;
  };
  cache.remove = (id) => {
    forget(id);
    return remove.call(cache, id);
  };
  cache.shift = () => {
    for (const { msgIdStr } of cache.history.at(-1) ?? []) forget(msgIdStr);
    shift.call(cache);
  };
  /** A tenth at once, or each message would walk through what is kept. */
  const makeRoom = (): void => {
    for (let age = cache.history.length - 1; age >= 0; age--) {
      const kept: { readonly msgIdStr: string }[] = [];
      for (const entry of cache.history[age] ?? []) {
        const cached = cache.msgs.get(entry.msgIdStr);
        if (bytes <= maxBytes * 0.9 || cached?.validated === false) kept.push(entry);
        else cache.remove(entry.msgIdStr);
      }
      cache.history[age] = kept;
      if (bytes <= maxBytes * 0.9) return;
    }
  };
  return () => bytes;
}

/** Newest messages of which it is remembered who delivered them; a verdict comes long before this many others have. */
const DELIVERIES = QUEUES.gossipIds.bounds.deliveries;

export interface DeliveriesInternals {
  readonly records: Map<string, unknown>;
  readonly queue: { readonly length: number; shift(): { readonly msgId: string } | undefined };
  ensureRecord(id: string): unknown;
}

/** Bounds the deliveries that the score remembers. */
export function boundDeliveries(deliveries: DeliveriesInternals, max = DELIVERIES): void {
  const { ensureRecord } = deliveries;
  deliveries.ensureRecord = (id) => {
    const record = ensureRecord.call(deliveries, id);
    while (deliveries.queue.length > max) {
      const oldest = deliveries.queue.shift();
      if (oldest !== undefined) deliveries.records.delete(oldest.msgId);
    }
    return record;
  };
}

export interface RememberingGossip {
  seenCache: { has(id: string): boolean; put(id: string): boolean };
  fastMsgIdCache?: { get(digest: string): string | undefined; put(digest: string, id: string): boolean };
  readonly mcache: MessageCacheInternals;
  readonly score: { readonly deliveryRecords: DeliveriesInternals };
}

/** Applies the patch to one GossipSub. Returns the bytes of ids and of messages held now. */
export function boundMemory(
  gossip: RememberingGossip,
  { idBytes, messageBytes }: { readonly idBytes: number; readonly messageBytes: number },
): () => { readonly ids: number; readonly messages: number } {
  const seen = new SeenIds({ maxBytes: idBytes * (1 - KNOWN_SHARE) });
  const known = new KnownIds({ maxBytes: idBytes * KNOWN_SHARE });
  gossip.seenCache = seen;
  if (gossip.fastMsgIdCache !== undefined) gossip.fastMsgIdCache = known;
  const messages = boundMessages(gossip.mcache, messageBytes);
  boundDeliveries(gossip.score.deliveryRecords);
  return () => ({ ids: seen.bytes + known.bytes, messages: messages() });
}
