/**
 * Between GossipSub, which asks of each copy of a message whether its signature holds, and the checks, which answer with all that
 * there is to know of it: a message that is on its way is not handed over twice.
 */

import { LRUCache } from 'lru-cache';
import type { Counter } from 'prom-client';
import type { Checking, IncomingMessage, Judgement, MessageChecks } from '../messages/types.js';
import type { NodeMetrics } from '../metrics/node-metrics.js';

/** Messages remembered that killed who looked: neighbours each send a copy. */
const MAX_POISONOUS = 1_000;

export class Verification {
  readonly #checks: MessageChecks;
  /** Looked up by label once, not for each message. */
  readonly #counters: Readonly<
    Partial<Record<Judgement['signature'], Record<Judgement['where'], Counter.Internal>>>
  >;
  /** What is on its way, by a name that stands for all of it, signature and key included. */
  readonly #checking = new Map<string, Checking>();
  readonly #poisonous = new LRUCache<string, Judgement>({ max: MAX_POISONOUS });

  constructor({
    checks,
    metrics,
  }: { readonly checks: MessageChecks; readonly metrics: Pick<NodeMetrics, 'signatures'> }) {
    this.#checks = checks;
    const of = (result: 'holds' | 'forged') => ({
      thread: metrics.signatures.labels({ result, where: 'thread' }),
      main: metrics.signatures.labels({ result, where: 'main' }),
    });
    this.#counters = { holds: of('holds'), forged: of('forged') };
  }

  /** Messages whose judgement is awaited. */
  get pending(): number {
    return this.#checking.size;
  }

  /**
   * What is found out about `message`. `name` must stand for all of it, signature and key included: a copy of one on its way gets
   * that one's judgement, but for the copies of one that was shed, for another source may have more left. Never rejects.
   */
  async judge(name: string, message: IncomingMessage): Promise<Judgement> {
    for (;;) {
      const before = this.#checking.get(name);
      if (before === undefined) {
        const poisonous = this.#poisonous.get(name);
        if (poisonous !== undefined) return poisonous;
      }
      before?.copyFrom(message.source);
      const checking = before ?? this.#handOver(name, message);
      // Awaited here alone: more promises on the way of some than of others, and later messages would overtake earlier ones.
      const judgement = await checking.judgement;
      // Before any copy, which can only have begun to wait later.
      if (before === undefined) this.#conclude(name, judgement);
      if (before === undefined || judgement.signature !== 'shed') return judgement;
    }
  }

  #handOver(name: string, message: IncomingMessage): Checking {
    const checking = this.#checks.check(message);
    this.#checking.set(name, checking);
    return checking;
  }

  #conclude(name: string, judgement: Judgement): void {
    this.#checking.delete(name);
    const { signature, where } = judgement;
    if (signature === 'poisonous') this.#poisonous.set(name, judgement);
    else this.#counters[signature]?.[where].inc();
  }
}
