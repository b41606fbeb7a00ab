/** `/api/v1/events`: the history, a page at a time. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonic } from '../../../shared/clock.js';
import type { Place } from '../../../shared/firehose/cursor-scheme.js';
import type { History } from '../../../shared/firehose/history.js';
import { PATHS } from '../../../shared/firehose/paths.js';
import { FeedProblem } from '../../../shared/firehose/problems.js';
import { parseFeedQuery } from '../../../shared/firehose/query.js';
import type { FeedRequest } from '../../../shared/firehose/request.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { ConnectionLedger } from '../../../shared/net/connection-ledger.js';
import { QUEUES } from '../../../shared/queues.js';
import { filterOf } from '../feed/view.js';
import { headerOf } from '../handshake.js';
import { type Answer, type Asked, NOT_STORED, type Resource, refuseAsProblem } from '../http/resource.js';
import type { NotificationServerMetrics } from '../metrics.js';
import type { Tokens } from '../tokens.js';
import { PacedAnswer } from './paced-answer.js';
import { Page, type PageOptions } from './page.js';

const { atOnce, waiting, perSource, pageMs } = QUEUES.pages.bounds;
const HOLDER = 'pages';
const JSON_TYPE = 'application/json';

/** Makes another reader of the history's files. */
export type OpenHistory = () => History;

export interface PagesComponents {
  /** Behind the last frame that live clients have; undefined while none was ever heard of. */
  readonly end: () => Place | undefined;
  readonly tokens: Tokens;
  readonly metrics: NotificationServerMetrics;
  readonly logger: Logger;
}

interface Job {
  readonly options: PageOptions;
  readonly answer: PacedAnswer;
}

export class Pages {
  readonly #slots: ConnectionLedger;
  readonly #waiting: Job[] = [];
  #working = 0;
  #open: OpenHistory | undefined;
  /** Readers of {@link #open} that have nothing to do. */
  #idle: History[] = [];
  /** Finds where pages begin. */
  #finder: History | undefined;

  /** One of the `trusted` sources may have more than its share. */
  constructor(
    private readonly components: PagesComponents,
    trusted: readonly string[],
  ) {
    this.#slots = new ConnectionLedger({ max: waiting, perSource, trusted });
  }

  /** Pages that are made or wait to be. */
  get size(): number {
    return this.#slots.total;
  }

  resource(): Resource {
    return { path: PATHS.events, refuse: refuseAsProblem, answer: (asked) => this.#answer(asked) };
  }

  /** The history is this one from now on; undefined: there is none any more. */
  use(open: OpenHistory | undefined): void {
    this.#finder?.close();
    for (const reader of this.#idle) reader.close();
    this.#idle = [];
    this.#open = open;
    this.#finder = open?.();
  }

  #answer({ request, client }: Asked): Answer {
    const granted = this.components.tokens.admit({
      request: parseFeedQuery(request.query, 'events'),
      authorization: headerOf(request, 'authorization'),
      endpoint: 'events',
    });
    const options = this.#optionsOf(granted.request);
    const head = { status: 200, contentType: JSON_TYPE, headers: NOT_STORED };
    if (request.method === 'HEAD') return { ...head, stream: () => {} };
    if (!this.#slots.admit(HOLDER, client)) {
      this.components.metrics.pages.inc({ outcome: 'refused' });
      throw new FeedProblem('too_many_requests');
    }
    return {
      ...head,
      stream: (out) => {
        const answer = new PacedAnswer(out, () => this.#slots.release(HOLDER, client));
        this.#waiting.push({ options, answer });
        this.#next();
      },
    };
  }

  /** Throws FeedProblem. */
  #optionsOf({ start, strict, descending, limit, ...filter }: FeedRequest): PageOptions {
    if (descending && start?.type === 'since')
      throw new FeedProblem('bad_parameter', 'since does not go with order=desc', { parameter: 'since' });
    const end = this.components.end();
    if (this.#finder === undefined || end === undefined) throw new FeedProblem('unavailable');
    try {
      const begin = start ?? { type: descending ? 'now' : 'oldest' };
      const { next, infos, awaited } = this.#finder.resolve(begin, { end, strict, waits: true });
      // What lies behind the end is nobody's yet.
      const from = descending && next.position > end.position ? end : next;
      return { from, end, descending, limit, infos, awaited, lets: filterOf(filter) };
    } catch (error) {
      if (error instanceof FeedProblem) throw error;
      this.components.logger.error({ err: error }, 'the history cannot be read');
      throw new FeedProblem('unavailable');
    }
  }

  #next(): void {
    if (this.#working >= atOnce) return;
    const job = this.#waiting.shift();
    if (job === undefined) return;
    this.#working++;
    const served = () => {
      this.#working--;
      this.#next();
    };
    this.#serve(job).then(served, served);
  }

  async #serve({ options, answer }: Job): Promise<void> {
    const { logger, metrics } = this.components;
    try {
      const made = await this.#make(options, answer);
      if (made === undefined) return;
      metrics.pages.inc({ outcome: 'made' });
      for (const code of made.told) metrics.infos.inc({ code });
      // Others need not wait for how long it takes to be taken.
      answer.write(made.body).then(
        () => answer.end(),
        () => answer.cut(),
      );
    } catch (error) {
      logger.error({ err: error }, 'a page of the history could not be read');
      metrics.pages.inc({ outcome: 'failed' });
      // Its head is out already.
      answer.cut();
    }
  }

  /** Undefined where its client is gone. */
  async #make(
    options: PageOptions,
    answer: PacedAnswer,
  ): Promise<{ readonly body: Uint8Array; readonly told: Page['told'] } | undefined> {
    const open = this.#open;
    const reader = this.#idle.pop() ?? open?.();
    if (reader === undefined) throw new FeedProblem('unavailable');
    try {
      const page = new Page(reader, options);
      const by = monotonic() + pageMs;
      while (!page.isWhole) {
        // Live clients are served between two slices.
        await nextTurn();
        if (answer.over) return undefined;
        page.step();
        if (monotonic() >= by) page.cut();
      }
      // Its cursors may be read from the files, too.
      return { body: page.body(), told: page.told };
    } finally {
      if (open === this.#open) this.#idle.push(reader);
      else reader.close();
    }
  }
}
