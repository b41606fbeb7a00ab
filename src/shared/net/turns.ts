/**
 * Who waits for a turn: networks have theirs one after the other, in a network its sources, and what is of one source goes in the order in which it came. So
 * whoever waits with little waits for no longer than there are others, however much these have.
 */

import type { Provenance } from './sources.js';

/** The one whose turn it is comes first. */
type Ring<V> = Map<unknown, V>;

function moveBack<V>(ring: Ring<V>, key: unknown, value: V): void {
  ring.delete(key);
  ring.set(key, value);
}

export class Turns<T extends object> {
  readonly #networks: Ring<Ring<Set<T>>> = new Map();
  readonly #waiting = new Map<T, Provenance>();

  get size(): number {
    return this.#waiting.size;
  }

  /** `item` waits. Nothing happens when it does already. */
  add(item: T, from: Provenance): void {
    if (this.#waiting.has(item)) return;
    this.#waiting.set(item, from);
    const { network, source } = from ?? { network: item, source: item };
    const sources = this.#networks.get(network) ?? new Map<unknown, Set<T>>();
    const items = sources.get(source) ?? new Set();
    this.#networks.set(network, sources.set(source, items.add(item)));
  }

  /** It waits no longer. */
  delete(item: T): void {
    if (!this.#waiting.has(item)) return;
    const from = this.#waiting.get(item);
    this.#waiting.delete(item);
    const { network, source } = from ?? { network: item, source: item };
    const sources = this.#networks.get(network);
    const items = sources?.get(source);
    items?.delete(item);
    if (items?.size === 0) sources?.delete(source);
    if (sources?.size === 0) this.#networks.delete(network);
  }

  /** Whose turn it is, who waits no longer then; undefined: nobody waits. */
  next(): T | undefined {
    const [network] = this.#networks.keys();
    const sources = this.#networks.get(network);
    const [source] = sources?.keys() ?? [];
    const items = sources?.get(source);
    const [item] = items ?? [];
    if (sources === undefined || items === undefined || item === undefined) return undefined;
    moveBack(sources, source, items);
    moveBack(this.#networks, network, sources);
    this.delete(item);
    return item;
  }

  clear(): void {
    this.#networks.clear();
    this.#waiting.clear();
  }
}
