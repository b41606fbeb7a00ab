/**
 * Slots that strangers fill, such as unfinished handshakes or open requests. Each slot has holders, such as a peer and its address;
 * a holder has a share, and when all slots are taken the largest holder gives one up. So who takes as much as there is stands in
 * its own way, and whoever comes with little gets in.
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

export class Shares<T> {
  readonly #options: SharesOptions;
  /** The eldest first. */
  readonly #taken = new Map<T, readonly Holder[]>();
  readonly #held = new Map<string, number>();

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  /** Places taken. */
  get size(): number {
    return this.#taken.size;
  }

  has(item: T): boolean {
    return this.#taken.has(item);
  }

  /** Takes a slot for `item`. What gives way for it is let go of here and returned, which may be `item` itself. */
  take(item: T, holders: readonly Holder[]): GivenUp<T>[] {
    this.#taken.set(item, holders);
    for (const { name } of holders) this.#held.set(name, this.#heldBy(name) + 1);
    const given: GivenUp<T>[] = [];
    for (const { name, share } of holders) {
      if (this.#heldBy(name) > share) given.push({ item: this.#giveUp(name), because: 'share' });
    }
    if (this.#taken.size > this.#options.slots) {
      const largest = Math.max(0, ...this.#held.values());
      given.push({ item: this.#giveUp(largest), because: 'full' });
    }
    return given;
  }

  /** Gives a slot back. Nothing happens when `item` has none. */
  release(item: T): void {
    const holders = this.#taken.get(item);
    if (holders === undefined) return;
    this.#taken.delete(item);
    for (const { name } of holders) {
      const left = this.#heldBy(name) - 1;
      if (left > 0) this.#held.set(name, left);
      else this.#held.delete(name);
    }
  }

  #heldBy(name: string): number {
    return this.#held.get(name) ?? 0;
  }

  /** Lets go of one item of a holder: of the named, or of any that has so many. */
  #giveUp(holder: string | number): T {
    const matches = ({ name }: Holder): boolean =>
      typeof holder === 'string' ? name === holder : this.#heldBy(name) === holder;
    let found: T | undefined;
    for (const [item, holders] of this.#taken) {
      // Without holders there is nobody larger than anybody else.
      if (!holders.some(matches) && holder !== 0) continue;
      found = item;
      if (this.#options.givesWay === 'eldest') break;
    }
    this.release(found as T);
    return found as T;
  }
}
