/** Says that blocks or subtrees had to make room, once a second. */

import { monotonic } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import type { Entrant } from './checks.js';

/** Kinds from this priority on are shed last, and each second of it is logged. */
const LOUD_PRIORITY = 5;

export class ShedLog {
  readonly #logger: Logger;
  readonly #kinds: readonly (MessageKind | undefined)[];
  #shed = 0;
  #told = 0;

  /** `kinds`: by their ids. */
  constructor(logger: Logger, kinds: readonly (MessageKind | undefined)[]) {
    this.#logger = logger;
    this.#kinds = kinds;
  }

  /** `queuedBytes`: of what still waits. */
  tell({ kind, source }: Pick<Entrant, 'kind' | 'source'>, queuedBytes: number): void {
    if ((this.#kinds[kind]?.priority ?? 0) < LOUD_PRIORITY) return;
    this.#shed += 1;
    const now = monotonic();
    if (now - this.#told < 1000) return;
    this.#logger.error(
      { shed: this.#shed, source, queuedBytes },
      'blocks or subtrees are shed: more is heard than can be checked',
    );
    this.#told = now;
    this.#shed = 0;
  }
}
