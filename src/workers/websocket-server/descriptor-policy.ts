/** Keeps the connections of this process below what it may have open. */

import type { Logger } from '../../shared/logging/logger.js';
import {
  type ClientShare,
  clientShare,
  DESCRIPTOR_LIMIT,
  openDescriptors,
} from '../../shared/process/descriptors.js';
import type { Listener } from './transport/index.js';

const LOOK_MS = 1000;
/** Free descriptors below which nobody is accepted: uWebSockets.js does not show us who has come and said nothing. */
const LEAST_FREE = 8;
/** Of a share, below which it counts as free again. */
const ROOMY = 0.95;

export interface DescriptorPolicyComponents {
  readonly logger: Logger;
  /** Clients are refused for want of descriptors, or no longer. */
  readonly crowded: (crowded: boolean) => void;
  /** WebSockets that are open. */
  readonly clients: () => number;
}

export class DescriptorPolicy {
  #share: ClientShare = { clients: Number.POSITIVE_INFINITY, connections: Number.POSITIVE_INFINITY };
  /** Connections that are no WebSocket yet, where the transport shows them. */
  #visitors = 0;
  #crowded = false;
  #paused = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly components: DescriptorPolicyComponents) {}

  /** Once everything else is open. `wanted`: WebSockets at the most by the settings, 0 for any number. */
  start(listener: Pick<Listener, 'pause' | 'resume'>, wanted: number): void {
    if (DESCRIPTOR_LIMIT === Number.POSITIVE_INFINITY) return;
    this.#share = clientShare(openDescriptors());
    if (wanted > this.#share.clients) {
      this.components.logger.warn(
        { limit: DESCRIPTOR_LIMIT, clients: this.#share.clients, wanted },
        'the limit of open files (ulimit -n) is too low for p2p_websocket_max_connections: more clients are answered 503',
      );
    }
    this.#timer = setInterval(() => this.#look(listener), LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether a connection that has come may stay; one `leave` each then. */
  enter(): boolean {
    if (this.#visitors + this.components.clients() >= this.#share.connections) return this.#refuse();
    this.#visitors++;
    return true;
  }

  leave(): void {
    this.#visitors--;
  }

  /** Whether there is room for one more WebSocket. */
  hasRoom(): boolean {
    return this.components.clients() < this.#share.clients || this.#refuse();
  }

  #isRoomy(): boolean {
    const clients = this.components.clients();
    const { clients: most, connections } = this.#share;
    return clients < most * ROOMY && clients + this.#visitors < connections * ROOMY;
  }

  #refuse(): false {
    this.#tell(true);
    return false;
  }

  #tell(crowded: boolean): void {
    if (crowded === this.#crowded) return;
    this.#crowded = crowded;
    const fields = { limit: DESCRIPTOR_LIMIT, clients: this.components.clients() };
    if (crowded) this.components.logger.error(fields, 'open files run out (ulimit -n): clients are refused');
    else this.components.logger.info(fields, 'there are open files for clients again');
    this.components.crowded(crowded);
  }

  #look(listener: Pick<Listener, 'pause' | 'resume'>): void {
    const free = DESCRIPTOR_LIMIT - openDescriptors();
    if (!this.#paused && free < LEAST_FREE) {
      this.#tell(true);
      this.#paused = true;
      listener.pause();
    } else if (this.#paused && free >= 2 * LEAST_FREE) {
      listener.resume().then(
        () => {
          this.#paused = false;
        },
        (error: unknown) => this.components.logger.warn({ err: error }, 'cannot listen again yet'),
      );
    } else if (!this.#paused && this.#isRoomy()) this.#tell(false);
  }
}
