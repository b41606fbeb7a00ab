/**
 * Slots that strangers fill, such as unfinished handshakes or open requests. Each slot has holders, such as a peer and its address;
 * a holder has a share, and when all slots are taken the largest holder gives one up: of its items one whose other holder has the most, too.
 * So who takes as much as there is stands in its own way, and whoever comes with little gets in.
 */

export interface Holder {
  /** Unique among all holders of these slots. */
  readonly name: string;
  /** Slots that it may have at the most. */
  readonly share: number;
}

export interface SharesOptions {
  /** Places of all holders together. */
  readonly slots: number;
  /**
   * Who of a holder gives way. `eldest` where a slot is held briefly, so that an old one is idle; `youngest` where it is kept, so
   * that who was there stays.
   */
  readonly givesWay: 'eldest' | 'youngest';
}

export interface GivenUp<T> {
  readonly item: T;
  /** `share`: a holder had more than its own; `full`: all slots were taken. */
  readonly because: 'share' | 'full';
}

interface Taken {
  readonly holders: readonly Holder[];
  readonly slots: number;
}

/** Above what any holder has. */
const RANK = 2 ** 26;

/** Of two holders of one item that have so many: what has the higher rank gives way first. */
export const rankOf = (most: number, least: number): number => most * RANK + least;

export class Shares<T> {
  readonly #options: SharesOptions;
  /** The eldest first. */
  readonly #taken = new Map<T, Taken>();
  readonly #held = new Map<string, number>();
  #slots = 0;

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  /** Places taken. */
  get size(): number {
    return this.#taken.size;
  }

  /** Whether nobody has to give way for so many slots more. */
  hasRoom(slots: number): boolean {
    return this.#slots + slots <= this.#options.slots;
  }

  has(item: T): boolean {
    return this.#taken.has(item);
  }

  /**
   * Takes a slot for `item`, or so many. What gives way for it is let go of here and returned, which may be `item` itself. Without holders it stands for
   * itself: it gives way to nobody, and takes the place of who has more than it.
   */
  take(item: T, holders: readonly Holder[], slots = 1): GivenUp<T>[] {
    this.#taken.set(item, { holders, slots });
    this.#add(holders, slots);
    const given: GivenUp<T>[] = [];
    for (const { name, share } of holders) {
      if (this.#heldBy(name) > share) given.push({ item: this.#giveUp(name, item), because: 'share' });
    }
    while (this.#slots > this.#options.slots)
      given.push({ item: this.#giveUp(undefined, item), because: 'full' });
    return given;
  }

  /** Gives a slot back. Nothing happens when `item` has none. */
  release(item: T): void {
    const taken = this.#taken.get(item);
    if (taken === undefined) return;
    this.#taken.delete(item);
    this.#add(taken.holders, -taken.slots);
  }

  #add(holders: readonly Holder[], slots: number): void {
    this.#slots += slots;
    for (const { name } of holders) {
      const held = this.#heldBy(name) + slots;
      if (held > 0) this.#held.set(name, held);
      else this.#held.delete(name);
    }
  }

  #heldBy(name: string): number {
    return this.#held.get(name) ?? 0;
  }

  /** Lets go of one item: of those of the named holder, or of all, the one with the highest rank; of none `newcomer`. */
  #giveUp(holder: string | undefined, newcomer: T): T {
    const { holders: own = [], slots = 0 } = this.#taken.get(newcomer) ?? {};
    let found = newcomer;
    let highest = own.length === 0 ? rankOf(slots, slots) + 1 : 0;
    for (const [item, { holders }] of this.#taken) {
      if (holder !== undefined && !holders.some(({ name }) => name === holder)) continue;
      const rank = this.#rankOf(holders);
      if (rank < highest || rank === 0 || (rank === highest && this.#options.givesWay === 'eldest')) continue;
      found = item;
      highest = rank;
    }
    this.release(found);
    return found;
  }

  /** 0 without holders. */
  #rankOf(holders: readonly Holder[]): number {
    let most = 0;
    let least = Number.POSITIVE_INFINITY;
    for (const { name } of holders) {
      const held = this.#heldBy(name);
      most = Math.max(most, held);
      least = Math.min(least, held);
    }
    return most === 0 ? 0 : rankOf(most, least);
  }
}
