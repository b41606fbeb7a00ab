/** The holder's side of a hand-over: another process asks for `DATADIR`, and what there is here ends for it. */

import { EventEmitter } from 'node:events';
import { monotonic } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { HandOverAnswer, HandOverRequest } from '../control/hand-over.js';
import { shown, type Tenure } from './tenure.js';

export interface HandOverEvents {
  /** Before anything is stopped. */
  begun: [];
}

/** What holds the directory. */
export interface Holder {
  /** Whether it stops, for whatever reason. */
  isStopping(): boolean;
  /** Ends everything but what holds the directory and what tells of health. Gives the names of what did not end cleanly; never rejects. */
  release(): Promise<readonly string[]>;
  /** Gives the directory up. */
  giveUp(): Promise<void>;
}

export interface HandOverComponents {
  readonly tenure: Tenure;
  readonly logger: Logger;
  readonly holder: Holder;
}

export interface HandOverOptions {
  /** p2p_shutdown_timeout in ms. */
  readonly shutdownMs: number;
}

/** What a hand-over may take beyond the time of a stop. */
const GRACE_MS = 3_000;

export class HandOver extends EventEmitter<HandOverEvents> {
  /**
   * Resolves once the directory is another server's, which asked for it. Rejects where something could not be ended in time: the process is to end at
   * once, before it gives the lock up.
   */
  readonly done: Promise<HandOverRequest>;
  readonly #tenure: Tenure;
  readonly #logger: Logger;
  readonly #holder: Holder;
  readonly #timeoutMs: number;
  readonly #succeed: (heir: HandOverRequest) => void;
  readonly #fail: (error: Error) => void;
  #state: 'not asked' | 'handing over' | 'handed over' = 'not asked';

  constructor({ tenure, logger, holder }: HandOverComponents, { shutdownMs }: HandOverOptions) {
    super();
    this.#tenure = tenure;
    this.#logger = logger;
    this.#holder = holder;
    this.#timeoutMs = shutdownMs + GRACE_MS;
    let succeed = (_heir: HandOverRequest): void => {};
    let fail = (_error: Error): void => {};
    this.done = new Promise((resolve, reject) => {
      succeed = resolve;
      fail = reject;
    });
    this.#succeed = succeed;
    this.#fail = fail;
    // Whoever runs the server looks at it.
    this.done.catch(() => {});
  }

  /** Whether another server is to have the directory, or has it. */
  get handingOver(): boolean {
    return this.#state !== 'not asked';
  }

  /** For readiness; undefined where nobody has asked. */
  health(): DependencyHealth | undefined {
    const { heir } = this.#tenure;
    if (!this.handingOver || heir === undefined) return undefined;
    const error = `${this.#state === 'handed over' ? 'handed' : 'is handing'} over DATADIR to ${shown(heir.name)}`;
    return { resource: 'server', status: 503, error, message: 'serves nobody, waits to be ended' };
  }

  /** Answers what another process asked, as it came: the answer is on its way before anything is stopped. Throws TypeError on what is no request. */
  asked(request: unknown): HandOverAnswer {
    const answer = this.#tenure.judge(request, { stopping: this.#holder.isStopping() });
    const { heir } = this.#tenure;
    if (heir !== undefined && !this.handingOver) {
      this.#state = 'handing over';
      setImmediate(() => this.#begin(heir));
    }
    return answer;
  }

  #begin(heir: HandOverRequest): void {
    const began = monotonic();
    const about = { to: shown(heir.name), version: shown(heir.version) };
    this.#logger.info(about, 'handing DATADIR over to another server');
    this.emit('begun');
    const late = setTimeout(
      () => this.#fail(new Error('the hand-over of DATADIR took too long')),
      this.#timeoutMs,
    );
    this.#giveUp()
      .then(() => {
        this.#logger.info({ ...about, ms: Math.round(monotonic() - began) }, 'DATADIR is handed over');
        this.#state = 'handed over';
        this.#succeed(heir);
      })
      .catch((error: unknown) => this.#fail(error instanceof Error ? error : new Error(errorMessage(error))))
      .finally(() => clearTimeout(late));
  }

  async #giveUp(): Promise<void> {
    const unclean = await this.#holder.release();
    // It may still be on the network, with the key that the other one has.
    if (unclean.length > 0)
      throw new Error(`did not stop before DATADIR was to be handed over: ${unclean.join(', ')}`);
    await this.#holder.giveUp();
  }
}
