/** Who holds how many connections to the feed, by source and by token, over all notification servers together. */

import { AddressList, sourceOf } from './ip.js';

/** Who holds a connection: its address, empty where it is unknown, and the name of its token, empty without one. */
export type Visitor = readonly [address: string, token: string];

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
/** In front of a token's name: what is counted under it is counted under a source too. */
const TOKEN = 'token ';
const isToken = (key: string): boolean => key.startsWith(TOKEN);

export class ConnectionLedger {
  readonly #trusted: AddressList;
  readonly #max: number;
  readonly #perSource: number;
  /** Connections under each source and each token. */
  readonly #byKey = new Map<string, number>();
  /** Of each holder, such as a process: how many connections under each. */
  readonly #byHolder = new Map<string, Map<string, number>>();
  #tokenLimits: ReadonlyMap<string, number> = new Map();
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

  /** Connections at the most by the name of a token; any number by one that is not in it. Those there are stay. */
  setTokenLimits(limits: ReadonlyMap<string, number>): void {
    this.#tokenLimits = limits;
  }

  /** Whether one more connection may be held by the token of this name. */
  tokenHasRoom(token: string): boolean {
    const limit = this.#tokenLimits.get(token) ?? Number.POSITIVE_INFINITY;
    return (this.#byKey.get(TOKEN + token) ?? 0) < limit;
  }

  /** Counts a connection of `holder` from `address` (empty: unknown, which has no share), by a token (empty: without), or refuses it. */
  admit(holder: string, address: string, token = ''): boolean {
    const source = this.#sourceOf(address);
    if (this.#total >= this.#max) return false;
    const shares = source !== TRUSTED && address !== '';
    if (shares && (this.#byKey.get(source) ?? 0) >= this.#perSource) return false;
    if (!this.tokenHasRoom(token)) return false;
    this.#take(holder, source, 1);
    if (token !== '') this.#take(holder, TOKEN + token, 1);
    return true;
  }

  /** Counts what another ledger admitted, whatever the limits say here. */
  take(holder: string, address: string, token = ''): void {
    this.#take(holder, this.#sourceOf(address), 1);
    if (token !== '') this.#take(holder, TOKEN + token, 1);
  }

  /** What each holder has under each source and token: enough to make a copy with `copy`. */
  held(): (readonly [holder: string, key: string, count: number])[] {
    return [...this.#byHolder].flatMap(([holder, keys]) =>
      [...keys].map(([key, count]) => [holder, key, count] as const),
    );
  }

  /** Counts what `held` of another ledger told. */
  copy(held: readonly (readonly [holder: string, key: string, count: number])[]): void {
    for (const [holder, key, count] of held) this.#take(holder, key, count);
  }

  /** Gives back what `admit` counted. Nothing happens when the holder has none from there. */
  release(holder: string, address: string, token = ''): void {
    this.#give(holder, this.#sourceOf(address), 1);
    if (token !== '') this.#give(holder, TOKEN + token, 1);
  }

  /** Gives back everything of a holder that is gone. */
  releaseHolder(holder: string): void {
    for (const [key, held] of this.#byHolder.get(holder) ?? []) this.#give(holder, key, held);
  }

  #sourceOf(address: string): string {
    return this.#trusted.has(address) ? TRUSTED : sourceOf(address);
  }

  #take(holder: string, key: string, count: number): void {
    if (!isToken(key)) this.#total += count;
    this.#byKey.set(key, (this.#byKey.get(key) ?? 0) + count);
    const keys = this.#byHolder.get(holder) ?? new Map<string, number>();
    this.#byHolder.set(holder, keys);
    keys.set(key, (keys.get(key) ?? 0) + count);
  }

  #give(holder: string, key: string, count: number): void {
    const keys = this.#byHolder.get(holder);
    const held = keys?.get(key) ?? 0;
    if (keys === undefined || held < count) return;
    if (held === count) keys.delete(key);
    else keys.set(key, held - count);
    if (keys.size === 0) this.#byHolder.delete(holder);
    const left = (this.#byKey.get(key) ?? 0) - count;
    if (left > 0) this.#byKey.set(key, left);
    else this.#byKey.delete(key);
    if (!isToken(key)) this.#total -= count;
  }
}
