/** Which data hubs answer, and how fast: asked over HTTP, a few at a time, and remembered for a moment. */

import { LRUCache } from 'lru-cache';
import { deadlineSignal } from '../../shared/async/deadline.js';
import { UnavailableError } from '../../shared/errors.js';
import type { DataHubUrl } from '../../shared/messages/data-hub-url.js';
import { Refusal } from '../../shared/messages/refusal.js';
import { QUEUES } from '../../shared/queues.js';
import { type GuardedHttp, InsideAddressError, LateAnswerError } from './guarded-http.js';
import type { HubOutcome, SyncMetrics } from './metrics.js';

export interface DataHubsComponents {
  readonly http: Pick<GuardedHttp, 'get'>;
  readonly metrics: Pick<SyncMetrics, 'hubChecks'>;
}

export interface DataHubsOptions {
  /**
   * Milliseconds that an answer, or none, is remembered.
   * @default 10_000, as in Go
   */
  readonly rememberMs?: number;
  /**
   * Milliseconds for one call of `answering`.
   * @default 5_000
   */
  readonly budgetMs?: number;
  /**
   * Requests at once.
   * @default 8
   */
  readonly concurrency?: number;
}

/** Data hubs remembered. */
const MAX_REMEMBERED = 1_000;

export class DataHubs {
  readonly #components: DataHubsComponents;
  /** Milliseconds until the answer; undefined for none. */
  readonly #remembered: LRUCache<DataHubUrl, { readonly ms: number | undefined }>;
  readonly #budgetMs: number;
  readonly #concurrency: number;

  constructor(
    components: DataHubsComponents,
    {
      rememberMs = 10_000,
      budgetMs = QUEUES.dataHubChecks.bounds.lookMs,
      concurrency = QUEUES.dataHubChecks.bounds.atOnce,
    }: DataHubsOptions = {},
  ) {
    this.#components = components;
    this.#budgetMs = budgetMs;
    this.#concurrency = concurrency;
    this.#remembered = new LRUCache({ max: MAX_REMEMBERED, ttl: rememberMs });
  }

  /**
   * Of `urls`, the most wanted first, those whose data hub answers, with the milliseconds that it took; the others with
   * undefined. A URL that is in neither could not be asked in time. Never rejects.
   */
  async answering(
    urls: readonly DataHubUrl[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<DataHubUrl, number | undefined>> {
    const answers = new Map<DataHubUrl, number | undefined>();
    const waiting = [...new Set(urls)].filter((url) => {
      const known = this.#remembered.get(url);
      if (known !== undefined) answers.set(url, known.ms);
      return known === undefined;
    });
    const deadline = deadlineSignal(this.#budgetMs, signal);
    const work = async (): Promise<void> => {
      for (let url = waiting.shift(); url !== undefined && !deadline.aborted; url = waiting.shift()) {
        const found = await this.#ask(url, deadline);
        if (found === undefined) continue;
        this.#remembered.set(url, found);
        answers.set(url, found.ms);
      }
    };
    await Promise.all(Array.from({ length: this.#concurrency }, work));
    return answers;
  }

  /** Undefined where it was not asked to the end. */
  async #ask(url: DataHubUrl, signal: AbortSignal): Promise<{ readonly ms: number | undefined } | undefined> {
    const { http, metrics } = this.#components;
    const began = performance.now();
    try {
      const { status } = await http.get(`${url.replace(/\/+$/, '')}/bestblockheader`, signal);
      const outcome: HubOutcome = status === 200 ? 'answered' : 'refused';
      metrics.hubChecks.inc({ outcome });
      return { ms: status === 200 ? performance.now() - began : undefined };
    } catch (error) {
      if (signal.aborted || error instanceof UnavailableError) return undefined;
      metrics.hubChecks.inc({ outcome: outcomeOf(error) });
      return { ms: undefined };
    }
  }
}

function outcomeOf(error: unknown): HubOutcome {
  if (error instanceof InsideAddressError || error instanceof Refusal) return 'inside';
  return error instanceof LateAnswerError ? 'late' : 'failed';
}
