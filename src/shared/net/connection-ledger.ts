/** Who holds how many WebSocket connections, over all notification servers together. */

import { AddressList, sourceOf } from './ip.js';

export interface ConnectionLimits {
  /** `p2p_websocket_max_connections`; 0: any number. */
  readonly max: number;
  /** `p2p_websocket_max_connections_per_source`: 0, the default, is a twentieth of `max` and at least 4, below 0 any number. */
  readonly perSource?: number;
  /** `p2p_websocket_trusted_source_cidrs`: have no share, but count among all; `none` as in Teranode: nobody. */
  readonly trusted: readonly string[];
}

/** One source may hold a twentieth of all, and never fewer than this, unless told otherwise. */
const SMALLEST_SHARE = 4;

/** The entries of a list of trusted sources, where `none` among them stands for nobody, as in Teranode. */
export function trustedSources(entries: readonly string[]): readonly string[] {
  return entries.some((entry) => entry.toLowerCase() === 'none') ? [] : entries;
}

function shareOf({ max, perSource = 0 }: ConnectionLimits): number {
  if (perSource > 0) return perSource;
  if (perSource < 0 || max === 0) return Number.POSITIVE_INFINITY;
  return Math.max(SMALLEST_SHARE, Math.floor(max / 20));
}

/** All trusted connections together; no address is spelled so. */
const TRUSTED = 'trusted';

export class ConnectionLedger {
  readonly #trusted: AddressList;
  readonly #max: number;
  readonly #perSource: number;
  readonly #bySource = new Map<string, number>();
  /** Of each holder, such as a process: how many connections from each source. */
  readonly #byHolder = new Map<string, Map<string, number>>();
  #total = 0;

  /** Throws RangeError on a trusted entry that does not parse. */
  constructor(limits: ConnectionLimits) {
    this.#trusted = new AddressList(trustedSources(limits.trusted));
    this.#perSource = shareOf(limits);
    this.#max = limits.max === 0 ? Number.POSITIVE_INFINITY : limits.max;
  }

  /** Connections, trusted ones too. */
  get total(): number {
    return this.#total;
  }

  /** Counts a connection of `holder` from `address` (empty: unknown, which has no share), or refuses it. */
  admit(holder: string, address: string): boolean {
    const source = this.#sourceOf(address);
    if (this.#total >= this.#max) return false;
    const shares = source !== TRUSTED && address !== '';
    if (shares && (this.#bySource.get(source) ?? 0) >= this.#perSource) return false;
    this.#take(holder, source, 1);
    return true;
  }

  /** Counts what another ledger admitted, whatever the limits say here. `source` is an address or one of `held`. */
  take(holder: string, source: string, count = 1): void {
    this.#take(holder, this.#sourceOf(source), count);
  }

  /** What each holder has from each source: enough to make a copy with `take`. */
  held(): (readonly [holder: string, source: string, count: number])[] {
    return [...this.#byHolder].flatMap(([holder, sources]) =>
      [...sources].map(([source, count]) => [holder, source, count] as const),
    );
  }

  /** Gives back what `admit` counted. Nothing happens when the holder has none from there. */
  release(holder: string, address: string): void {
    this.#give(holder, this.#sourceOf(address), 1);
  }

  /** Gives back everything of a holder that is gone. */
  releaseHolder(holder: string): void {
    for (const [source, held] of this.#byHolder.get(holder) ?? []) this.#give(holder, source, held);
  }

  #sourceOf(address: string): string {
    return this.#trusted.has(address) ? TRUSTED : sourceOf(address);
  }

  #take(holder: string, source: string, count: number): void {
    this.#total += count;
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + count);
    const sources = this.#byHolder.get(holder) ?? new Map<string, number>();
    this.#byHolder.set(holder, sources);
    sources.set(source, (sources.get(source) ?? 0) + count);
  }

  #give(holder: string, source: string, count: number): void {
    const sources = this.#byHolder.get(holder);
    const held = sources?.get(source) ?? 0;
    if (sources === undefined || held < count) return;
    if (held === count) sources.delete(source);
    else sources.set(source, held - count);
    if (sources.size === 0) this.#byHolder.delete(holder);
    const left = (this.#bySource.get(source) ?? 0) - count;
    if (left > 0) this.#bySource.set(source, left);
    else this.#bySource.delete(source);
    this.#total -= count;
  }
}
