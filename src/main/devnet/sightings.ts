/** Gathers who heard what, and when: one event of the network from the feeds of all its nodes. */

import { monotonic } from '../../shared/clock.js';

export interface Sighting {
  readonly kind: string;
  readonly hash: string;
  /** Name of the node that announced it. */
  readonly origin: string;
  readonly height: string;
  /** What its kind has to say besides, such as why a transaction was rejected; may be empty. */
  readonly remark: string;
  /** When the first showed it (monotonic). */
  readonly firstAt: number;
  /** Node names, with whole ms after the first. */
  readonly heard: readonly { readonly node: string; readonly ms: number }[];
}

interface Open extends Sighting {
  readonly heard: { node: string; ms: number }[];
  readonly timer: NodeJS.Timeout;
}

export interface SightingsOptions {
  /** Nodes that will show each event, the origin's included. */
  readonly expected: number;
  /**
   * Milliseconds after which an event is told with whoever has heard it.
   * @default 1_000
   */
  readonly patienceMs?: number;
  readonly onEvent: (sighting: Sighting) => void;
}

/** Events that are open at once at the most; above it the oldest is told as it is. */
const OPEN_BOUND = 1000;
/** Events remembered as told, so that a late frame does not open them again. */
const TOLD_BOUND = 10_000;

export class Sightings {
  readonly #options: Required<SightingsOptions>;
  readonly #open = new Map<string, Open>();
  readonly #told = new Set<string>();

  constructor(options: SightingsOptions) {
    this.#options = { patienceMs: 1000, ...options };
  }

  /** `node` shows an event at `at` (monotonic). */
  add(
    node: string,
    event: Pick<Sighting, 'kind' | 'hash' | 'origin' | 'height' | 'remark'>,
    at = monotonic(),
  ): void {
    const key = `${event.kind}/${event.hash}/${event.origin}`;
    if (this.#told.has(key)) return;
    let open = this.#open.get(key);
    if (open === undefined) {
      const timer = setTimeout(() => this.#tell(key), this.#options.patienceMs);
      open = { ...event, firstAt: at, heard: [], timer };
      this.#open.set(key, open);
    }
    if (open.heard.some((one) => one.node === node)) return;
    open.heard.push({ node, ms: Math.round(at - open.firstAt) });
    if (open.heard.length >= this.#options.expected) this.#tell(key);
    else if (this.#open.size > OPEN_BOUND) this.#tell(this.#open.keys().next().value ?? key);
  }

  /** Forgets what is open. */
  stop(): void {
    for (const { timer } of this.#open.values()) clearTimeout(timer);
    this.#open.clear();
  }

  #tell(key: string): void {
    const open = this.#open.get(key);
    if (open === undefined) return;
    clearTimeout(open.timer);
    this.#open.delete(key);
    this.#told.add(key);
    if (this.#told.size > TOLD_BOUND) this.#told.delete(this.#told.values().next().value ?? key);
    const { timer: _, ...sighting } = open;
    this.#options.onEvent(sighting);
  }
}
