/**
 * Between GossipSub, which asks of each copy of a message whether its signature holds, and the checks, which answer with all that
 * there is to know of it: a message that is on its way is not handed over twice.
 */

import { LRUCache } from 'lru-cache';
import type { Counter } from 'prom-client';
import type { NodeMetrics } from './metrics.js';
import type { Checking, IncomingMessage, Judgement, MessageChecks } from './types.js';

/** Messages remembered that killed who looked: neighbours each send a copy. */
const MAX_POISONOUS = 1_000;

const RESULTS = ['holds', 'forged'] as const;
const PLACES = ['thread', 'main'] as const;

export class Verification {
  readonly #checks: MessageChecks;
  /** Looked up by label once, not for each message. */
  readonly #counters: Readonly<Record<string, Counter.Internal>>;
  /** What is on its way, by a name that stands for all of it, signature and key included. */
  readonly #checking = new Map<string, Checking>();
  readonly #poisonous = new LRUCache<string, Judgement>({ max: MAX_POISONOUS });

  constructor({
    checks,
    metrics,
  }: { readonly checks: MessageChecks; readonly metrics: Pick<NodeMetrics, 'signatures'> }) {
    this.#checks = checks;
    this.#counters = Object.fromEntries(
      RESULTS.flatMap((result) =>
        PLACES.map((where) => [result + where, metrics.signatures.labels({ result, where })]),
      ),
    );
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
      if (before === undefined)
        return this.#poisonous.get(name) ?? (await this.#handOver(name, message).judgement);
      before.copyFrom(message.source);
      const judgement = await before.judgement;
      if (judgement.signature !== 'shed') return judgement;
    }
  }

  #handOver(name: string, message: IncomingMessage): Checking {
    const checking = this.#checks.check(message);
    this.#checking.set(name, checking);
    checking.judgement
      .then((judgement) => {
        this.#checking.delete(name);
        const { signature, where } = judgement;
        if (signature === 'poisonous') this.#poisonous.set(name, judgement);
        else this.#counters[signature + where]?.inc();
      })
      .catch(() => {});
    return checking;
  }
}
