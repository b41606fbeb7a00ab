/** Messages that GossipSub has handed out and that wait for their verdict. It forwards none before, and forgets it some time after. */

import { TopicValidatorResult } from '@chainsafe/libp2p-gossipsub';
import type { Counter } from 'prom-client';
import { monotonic } from '../../../shared/clock.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';
import { scoreInvalidMessage } from '../patches/author-blame.js';
import type { GossipInternals } from '../patches/gossip-internals.js';
import type { Backpressure } from './backpressure.js';

/** GossipSub forgets a message after two minutes: a verdict later than that was lost. */
const VERDICT_LOST_MS = 120_000;
const SWEEP_MS = 10_000;

/** `ignore` forwards nothing and blames nobody; `reject` lowers the author's score as well, where it sent the message itself. */
export type Verdict = 'accept' | 'ignore' | 'reject';

/** A message that waits. Peer IDs are base58. */
export interface Awaiting {
  readonly author: PeerIdText | undefined;
  /** The propagation source. */
  readonly source: PeerIdText;
  readonly topic: string;
}

export interface VerdictsComponents {
  readonly logger: Logger;
  readonly metrics: Pick<NodeMetrics, 'verdicts' | 'unknownVerdicts'>;
  readonly backpressure: Backpressure;
}

export class Verdicts {
  readonly #components: VerdictsComponents;
  /** Looked up by label once, not for each message. */
  readonly #counters: Record<Verdict, Counter.Internal>;
  /** By GossipSub's message id, the oldest first. Bounded by backpressure. */
  readonly #awaiting = new Map<string, Awaiting & { readonly since: number }>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(components: VerdictsComponents) {
    this.#components = components;
    const { verdicts } = components.metrics;
    this.#counters = {
      accept: verdicts.labels('accept'),
      ignore: verdicts.labels('ignore'),
      reject: verdicts.labels('reject'),
    };
  }

  start(): void {
    this.#sweep = setInterval(() => this.#forgetLost(), SWEEP_MS).unref();
  }

  stop(): void {
    clearInterval(this.#sweep);
    for (const { source } of this.#awaiting.values()) this.#components.backpressure.leave(source);
    this.#awaiting.clear();
  }

  has(id: string): boolean {
    return this.#awaiting.has(id);
  }

  /** A message waits from now on, and counts as pending until its verdict. */
  expect(id: string, message: Awaiting): void {
    this.#awaiting.set(id, { ...message, since: monotonic() });
    this.#components.backpressure.enter(message.source);
  }

  /** Gives a message its verdict; one for a message that does not wait is counted. `gossip`: undefined once it has stopped. */
  give(id: string, verdict: Verdict, gossip: GossipInternals | undefined): void {
    const { metrics, backpressure } = this.#components;
    const awaiting = this.#awaiting.get(id);
    if (awaiting === undefined) {
      metrics.unknownVerdicts.inc();
      return;
    }
    this.#awaiting.delete(id);
    const { author, source, topic } = awaiting;
    if (gossip !== undefined) {
      const accepted = verdict === 'accept';
      gossip.reportMessageValidationResult(
        id,
        source,
        accepted ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore,
      );
      // Whoever else has passed it on is honest: they cannot know what we check.
      if (verdict === 'reject' && source === author) scoreInvalidMessage(gossip, author, topic);
    }
    this.#counters[verdict].inc();
    backpressure.leave(source);
  }

  #forgetLost(): void {
    const { logger, backpressure } = this.#components;
    const before = monotonic() - VERDICT_LOST_MS;
    let lost = 0;
    for (const [id, { since, source }] of this.#awaiting) {
      if (since > before) break;
      this.#awaiting.delete(id);
      backpressure.leave(source);
      lost++;
    }
    if (lost > 0) logger.error({ messages: lost }, 'messages never got their verdict');
  }
}
