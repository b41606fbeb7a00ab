/**
 * What connected peers call themselves in identify. libp2p tells of it some awaits after it has read it, when the peer may have left and
 * its disconnection been told already: only who is still connected is remembered.
 */

import type { IdentifyResult, Libp2p, PeerId } from '@libp2p/interface';
import { displayText } from '../../../shared/messages/text.js';

/** Characters kept of what a peer calls itself: any text, of any length, and terminals will show it. */
const TEXT_MAX = 256;

export interface Identity {
  readonly agent: string;
  readonly protocolVersion: string;
}

const UNKNOWN: Identity = { agent: '', protocolVersion: '' };

export class Identities {
  readonly #known = new Map<string, Identity>();

  /** Listens to the host for as long as it lives. */
  watch(libp2p: Pick<Libp2p, 'getConnections' | 'addEventListener'>): void {
    libp2p.addEventListener('peer:identify', ({ detail }: CustomEvent<IdentifyResult>) => {
      if (libp2p.getConnections(detail.peerId).length > 0) this.#learn(detail);
    });
    libp2p.addEventListener('peer:disconnect', ({ detail }: CustomEvent<PeerId>) => {
      this.#known.delete(detail.toString());
    });
  }

  /** Peers remembered. */
  get size(): number {
    return this.#known.size;
  }

  /** Empty texts for a peer that has not told yet. */
  of(peerId: string): Identity {
    return this.#known.get(peerId) ?? UNKNOWN;
  }

  clear(): void {
    this.#known.clear();
  }

  /** What a later message leaves out stays as it was. */
  #learn({ peerId, agentVersion, protocolVersion }: IdentifyResult): void {
    const id = peerId.toString();
    const before = this.of(id);
    this.#known.set(id, {
      agent: agentVersion === undefined ? before.agent : displayText(agentVersion, TEXT_MAX),
      protocolVersion:
        protocolVersion === undefined ? before.protocolVersion : displayText(protocolVersion, TEXT_MAX),
    });
  }
}
