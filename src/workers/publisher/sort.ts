/** Which messages of a batch are new, and which of those are taken. */

import { isTaken, type OutcomeName, outcomeIndex } from '../../shared/messages/outcomes.js';
import { ANNOUNCED_TOPICS } from '../../shared/messages/topics.js';
import type { DecodedMessage } from '../../shared/pipeline/checked-batch.js';
import type { Admission } from './admission.js';
import type { Outbox } from './outbox.js';

/** A batch whose messages are new or not. */
export interface Sorted {
  readonly outcomes: Uint8Array;
  /** Positions of the messages that are to be stored, and the messages. */
  readonly stored: { readonly index: number; readonly message: DecodedMessage; readonly isNew: boolean }[];
}

export interface SortOptions {
  /** What an earlier publisher stored of this batch, undefined where it did not. */
  readonly earlier: readonly Uint8Array[] | undefined;
  /** Monotonic. */
  readonly now: number;
  /** The part of a topic's capacity that is not for strangers. */
  readonly kept: number;
}

/** Decides what is new, and has `admission` remember it. */
export function sortBatch(
  messages: readonly DecodedMessage[],
  { admission, outbox }: { readonly admission: Admission; readonly outbox: Pick<Outbox, 'capacity'> },
  { earlier, now, kept }: SortOptions,
): Sorted {
  const outcomes = new Uint8Array(messages.length);
  const stored: { index: number; message: DecodedMessage; isNew: boolean }[] = [];
  const capacities = new Map(ANNOUNCED_TOPICS.map(({ id, name }) => [id, outbox.capacity(name)]));
  let next = 0;
  messages.forEach((message, index) => {
    outcomes[index] = message.outcome;
    if (!isTaken(message.outcome)) return;
    // They were stored in this order.
    const known = earlier?.[next];
    if (known !== undefined && Buffer.compare(known, message.entry) === 0) {
      next++;
      return;
    }
    if (message.own) {
      if (message.frame.length > 0 && earlier === undefined) stored.push({ index, message, isNew: false });
      return;
    }
    let outcome: OutcomeName = admission.check(message, now);
    const topic = message.record?.topic;
    const capacity = topic === undefined ? 1 : (capacities.get(topic) ?? 0);
    const reserved = topic !== undefined && message.standing === 'stranger' ? kept : 0;
    // What a batch that is stored has not, was refused then: for want of capacity, or of a place among the announcers.
    if (outcome === 'ok' && (capacity <= reserved || earlier !== undefined)) outcome = 'outbox_full';
    if (outcome !== 'ok') {
      outcomes[index] = outcomeIndex(outcome);
      return;
    }
    if (topic !== undefined) capacities.set(topic, capacity - 1);
    admission.remember(message, now);
    if (message.frame.length > 0 || message.record !== undefined)
      stored.push({ index, message, isNew: true });
  });
  return { outcomes, stored };
}
