/** What the blockchain service's registry has been told of each peer, or was found to have: it is told again when that changes, or after a minute. */

import { LRUCache } from 'lru-cache';
import { monotonic } from '../../../shared/clock.js';
import type { DataHubUrl } from '../../../shared/messages/data-hub-url.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { ServiceRow } from '../service-row.js';
import { MAX_ROWS } from './rows.js';

/** What a peer told of itself, as it stands in a row. */
export interface Told {
  readonly name: string;
  readonly height: number;
  /** Display order. */
  readonly blockHash: string;
  readonly dataHubUrl: DataHubUrl | '';
  /** `full`, `pruned`, or empty. */
  readonly storage: string;
}

interface Assertion {
  readonly told: Told | undefined;
  /** Monotonic. */
  readonly toldAt: number;
  readonly connected: boolean;
  readonly connectedAt: number;
  /** Until then the service takes no row of it. */
  readonly refusedUntil: number;
}

/** A row may have gone meanwhile: the service forgets peers too. As in Go. */
const AGAIN_MS = 60_000;

const TOLD: readonly (keyof Told)[] = ['name', 'height', 'blockHash', 'dataHubUrl', 'storage'];

const NEVER = Number.NEGATIVE_INFINITY;
const NOTHING: Assertion = {
  told: undefined,
  toldAt: NEVER,
  connected: false,
  connectedAt: NEVER,
  refusedUntil: NEVER,
};

export class Asserted {
  readonly #assertions = new LRUCache<PeerIdText, Assertion>({ max: MAX_ROWS });

  /** The service has this row. */
  found({ id, name, height, blockHash, dataHubUrl, storage, connected }: ServiceRow): void {
    const now = monotonic();
    const told = { name, height, blockHash, dataHubUrl, storage };
    this.#assertions.set(id, { told, toldAt: now, connected, connectedAt: now, refusedUntil: NEVER });
  }

  told(peer: PeerIdText, told: Told): void {
    this.#change(peer, { told, toldAt: monotonic() });
  }

  /** Whether the service has a row of the peer, as far as is known here. */
  isTold(peer: PeerIdText): boolean {
    return this.#of(peer).told !== undefined;
  }

  connection(peer: PeerIdText, connected: boolean): void {
    this.#change(peer, { connected, connectedAt: monotonic() });
  }

  /** The service did not take a row of the peer. */
  refused(peer: PeerIdText): void {
    this.#change(peer, { refusedUntil: monotonic() + AGAIN_MS });
  }

  isRefused(peer: PeerIdText): boolean {
    return this.#of(peer).refusedUntil > monotonic();
  }

  /** Whether `told` is to be told: what is empty changes nothing in a row. */
  differs(peer: PeerIdText, told: Told): boolean {
    const { told: before, toldAt } = this.#of(peer);
    if (before === undefined || monotonic() - toldAt > AGAIN_MS) return true;
    const isNew = (key: keyof Told): boolean =>
      told[key] !== before[key] && told[key] !== '' && told[key] !== 0;
    return TOLD.some(isNew);
  }

  storageOf(peer: PeerIdText): string {
    return this.#of(peer).told?.storage ?? '';
  }

  /** Whether the service is to be told that the peer is connected, or is not. */
  saysOtherwise(peer: PeerIdText, connected: boolean): boolean {
    const before = this.#of(peer);
    return before.connected !== connected || (connected && monotonic() - before.connectedAt > AGAIN_MS);
  }

  isConnected(peer: PeerIdText): boolean {
    return this.#of(peer).connected;
  }

  /** Peers that the service holds to be connected. */
  connected(): PeerIdText[] {
    return [...this.#assertions.entries()].flatMap(([peer, { connected }]) => (connected ? peer : []));
  }

  /** Some peer of which more than a data hub was told to the service: what it is called, or how high its chain is. */
  get any(): { readonly peer: PeerIdText; readonly told: Told } | undefined {
    for (const [peer, { told }] of this.#assertions.entries()) {
      if (told !== undefined && (told.name !== '' || told.height > 0)) return { peer, told };
    }
    return undefined;
  }

  clear(): void {
    this.#assertions.clear();
  }

  #of(peer: PeerIdText): Assertion {
    return this.#assertions.peek(peer) ?? NOTHING;
  }

  #change(peer: PeerIdText, changes: Partial<Assertion>): void {
    this.#assertions.set(peer, { ...this.#of(peer), ...changes });
  }
}
