/** The ids of the newest batches: one that is offered again, because whoever stored it died before it could say so, is known by its id. */

import type { BatchHead, Position } from './layout.js';

/** A batch in the journal's tail. */
export interface StoredBatch {
  readonly firstPosition: Position;
  readonly firstSeq: number;
  readonly count: number;
}

/** Far more than are under way at a time. */
const MAX_IDS = 1024;

export class BatchIds {
  #ids = new Map<number, StoredBatch>();

  get(id: number): StoredBatch | undefined {
    return this.#ids.get(id);
  }

  add({ id, position, seq, count }: Pick<BatchHead, 'id' | 'position' | 'seq' | 'count'>): void {
    this.#ids.set(id, { firstPosition: position, firstSeq: seq, count });
    if (this.#ids.size <= MAX_IDS) return;
    for (const oldest of this.#ids.keys()) {
      this.#ids.delete(oldest);
      break;
    }
  }

  /** Batches before all that are known: one that was offered again may be the last of its segment. */
  addEarlier(heads: readonly BatchHead[]): void {
    const headroom = MAX_IDS - this.#ids.size;
    if (headroom <= 0) return;
    const later = this.#ids;
    this.#ids = new Map();
    for (const head of heads.slice(-headroom)) this.add(head);
    for (const [id, batch] of later) this.#ids.set(id, batch);
  }
}
