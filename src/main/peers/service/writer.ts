/** Tells the blockchain service's registry what is learned here: gathered a peer, told in its turn, and put back where the service did not take it. */

import { inSlices } from '../../../shared/async/slices.js';
import { PeerRegistryInfo, TransportType } from '../../../shared/generated/peer_registry.js';
import type { PeerIdText } from '../../../shared/net/peer-id.js';
import type { RegistryResponse } from '../../chain/peer-registry-calls.js';
import type { ConnectedPeer } from '../../node/types.js';
import type { PeerRegistry } from '../registry.js';
import { Asserted, type Told } from './asserted.js';
import type { ServiceBans } from './bans.js';
import type { RegistryCall } from './calls.js';
import { SpokenConnections } from './connections.js';
import type { RegistryLink } from './link.js';
import type { RegistryClientMetrics } from './metrics.js';
import { outcomeOf } from './outcome.js';
import { peersToOffer, recordedInfo, toldInfo, toldOf } from './own-word.js';
import { PendingUpdates, type Update } from './pending.js';
import type { RegistryReader } from './reader.js';
import { type Step, stepsOf } from './steps.js';
import { together } from './together.js';

export interface RegistryWriterComponents {
  readonly link: RegistryLink;
  readonly reader: Pick<RegistryReader, 'row' | 'rows' | 'isForeign'>;
  readonly bans: Pick<ServiceBans, 'banned'>;
  readonly metrics: Pick<RegistryClientMetrics, 'dropped'>;
  /** What is known here: what is told is read from it when it is told. */
  readonly registry: Pick<PeerRegistry, 'known' | 'records'>;
  /** Base58 ID of this node. */
  readonly ownPeer: () => PeerIdText;
  readonly connections: () => readonly Pick<ConnectedPeer, 'id' | 'bytesSent' | 'bytesReceived'>[];
  readonly isConfigured: (peer: PeerIdText) => boolean;
  /** Not scored there. */
  readonly isProtected: (peer: PeerIdText) => boolean;
}

export interface RegistryWriterOptions {
  /** Peers about whom something may wait. */
  readonly maxPending: number;
  /** How long a service that did not understand what it was told is left alone, ms. */
  readonly notUnderstoodMs: number;
}

export class RegistryWriter {
  readonly #components: RegistryWriterComponents;
  readonly #options: RegistryWriterOptions;
  readonly #pending: PendingUpdates;
  readonly #asserted = new Asserted();
  readonly #connections = new SpokenConnections();
  /** Once for each time that the service came to serve. */
  #verified = false;
  #running = false;

  constructor(components: RegistryWriterComponents, options: RegistryWriterOptions) {
    this.#components = components;
    this.#options = options;
    const { registry, isConfigured, metrics } = components;
    this.#pending = new PendingUpdates(
      {
        isFamiliar: (peer) =>
          registry.known.isConnected(peer) || registry.records.has(peer) || isConfigured(peer),
        onDropped: () => metrics.dropped.inc(),
      },
      { maxPeers: options.maxPending },
    );
  }

  /** Begins to gather. */
  start(): void {
    this.#running = true;
  }

  /** Gathers no more. */
  end(): void {
    this.#running = false;
  }

  /** Tells the service, where it serves, what waits and that nobody is connected any more. */
  async farewell(): Promise<void> {
    this.#connections.clear();
    if (!this.#components.link.serves) return;
    for (const peer of this.#asserted.connected()) this.mark(peer, { connection: true });
    await this.flush(() => true);
  }

  /** Peers about whom something waits. */
  get size(): number {
    return this.#pending.size;
  }

  /** Whether what is learned may still be of use to the service. */
  get collects(): boolean {
    const { state } = this.#components.link;
    return this.#running && (state === 'serving' || state === 'away' || state === 'unasked');
  }

  /** What waits is of no use any more. */
  clear(): void {
    this.#pending.clear();
  }

  /** A message of this author was accepted. */
  received(author: PeerIdText): void {
    if (!this.collects) return;
    const update = this.#pending.of(author);
    if (update === undefined) return;
    update.messageReceived = true;
    if (this.#components.registry.known.isConnected(author) && this.#connections.spoke(author))
      update.connection = true;
  }

  /** A peer's last connection has closed, after `bytesReceived` over all of them. */
  disconnected(peer: PeerIdText, bytesReceived: bigint): void {
    const { spoke, left } = this.#connections.closed(peer, bytesReceived);
    // Where it has spoken, the service may be told just now that it is connected.
    if (spoke || this.#asserted.isConnected(peer)) this.mark(peer, { connection: true, received: left });
  }

  /** Adds calls about a peer behind those that wait. */
  call(peer: PeerIdText, ...calls: readonly RegistryCall[]): void {
    if (this.collects) this.#pending.call(peer, ...calls);
  }

  /** Something is to be told of a peer. */
  mark(peer: PeerIdText, { told, connection, seed, received = 0n, sent = 0n }: Partial<Update>): void {
    if (!this.collects && !(connection && this.#components.link.serves)) return;
    const update = this.#pending.of(peer);
    if (update === undefined) return;
    update.told ||= told === true;
    update.seed ||= seed === true;
    update.connection ||= connection === true;
    update.received += received;
    update.sent += sent;
  }

  /** Compares what a service that came to serve has with what is known here, and marks what is to be told. */
  async reconcile(): Promise<{ offered: number; disconnected: number }> {
    const { reader, registry, ownPeer, isConfigured } = this.#components;
    this.#verified = false;
    this.#asserted.clear();
    let disconnected = 0;
    for (const row of reader.rows()) {
      this.#asserted.found(row);
      if (!row.connected || this.#isConnected(row.id)) continue;
      disconnected++;
      this.mark(row.id, { connection: true });
    }
    let offered = 0;
    for (const peer of await inSlices(peersToOffer(registry, ownPeer(), isConfigured))) {
      const row = reader.row(peer);
      if (row === undefined) {
        this.mark(peer, { told: true, seed: true });
      } else if (this.#asserted.differs(peer, toldOf(registry, peer))) this.mark(peer, { told: true });
      else continue;
      offered++;
    }
    for (const peer of this.#connections.peers()) this.mark(peer, { connection: true });
    return { offered, disconnected };
  }

  /** Marks what has come and gone over connections since the last look. */
  countBytes(): void {
    for (const { id, bytesSent, bytesReceived } of this.#components.connections()) {
      if (!this.#asserted.isConnected(id)) continue;
      const deltas = this.#connections.count(id, { sent: bytesSent, received: bytesReceived });
      if (deltas.sent + deltas.received > 0n) this.mark(id, deltas);
    }
  }

  /** Tells what waits, each peer's whole, as long as one more call is allowed. */
  async flush(mayCall: () => boolean): Promise<void> {
    const pending = this.#pending;
    const some = function* () {
      const updates = pending.take();
      while (mayCall()) {
        const { done, value } = updates.next();
        if (done) return;
        yield value;
      }
    };
    await together(this.#components.link, some(), async ([peer, update]) => {
      // The first one is accounted for.
      for (let calls = await this.#tell(peer, update); calls > 1; calls--) mayCall();
    });
    if (!this.#verified && this.#running) await this.#verify();
  }

  /**
   * Whether the service has understood what it was told: of another version, its fields may have moved. It may keep less of a peer than that
   * told, such as no data hub that it would not call: only where nothing at all comes back was it not understood.
   */
  async #verify(): Promise<void> {
    const { link } = this.#components;
    const any = this.#asserted.any;
    if (any === undefined || !link.serves) return;
    const { peer, told } = any;
    const answer = await link.try('getPeer', { peer_id: peer });
    if (answer?.peer === undefined) return;
    this.#verified = true;
    const { peer_id, transport_type, client_name, height, data_hub_url } = answer.peer;
    const isOurs = peer_id === peer && transport_type === TransportType.TRANSPORT_HTTP;
    const isKept =
      (client_name !== '' && client_name === told.name) ||
      (height > 0 && height === told.height) ||
      data_hub_url !== '';
    if (isOurs && isKept) return;
    const reason = 'it does not answer what it was told: of a version that this server does not know?';
    link.leave('away', reason, this.#options.notUnderstoodMs);
  }

  /** Tells what waits about one peer. Gives the number of calls. */
  async #tell(peer: PeerIdText, update: Update): Promise<number> {
    const { link, reader, metrics, ownPeer } = this.#components;
    if (peer === ownPeer() || reader.isForeign(peer)) return 0;
    if (this.#asserted.isRefused(peer)) {
      metrics.dropped.inc();
      return 0;
    }
    const steps = this.#stepsOf(peer, update);
    for (const [index, step] of steps.entries()) {
      const { method, request } = step.call;
      if (link.lacks(method)) continue;
      try {
        const response = await link.call(method, request as never);
        step.done?.(response);
      } catch (error) {
        link.failed(method, error);
        const outcome = outcomeOf(error);
        if (outcome === 'away' || outcome === 'late' || outcome === 'refused') {
          // What may have been done after all is not done twice.
          const lost = outcome === 'late' && step.repeatable !== true;
          if (lost) metrics.dropped.inc();
          this.#putBack(peer, steps.slice(lost ? index + 1 : index));
          return index + 1;
        }
        if (outcome === 'full') {
          link.full();
          if (this.#asserted.isTold(peer)) {
            // It has a row there: how it stands is told again anyway.
            this.#putBack(
              peer,
              steps.slice(index).filter(({ repeatable }) => repeatable !== true),
            );
            return index + 1;
          }
        }
        metrics.dropped.inc();
        if (step.first) {
          this.#asserted.refused(peer);
          return index + 1;
        }
      }
    }
    return steps.length;
  }

  #putBack(peer: PeerIdText, steps: readonly Step[]): void {
    if (!this.collects) return;
    const update = this.#pending.of(peer);
    if (update === undefined) return;
    const since = update.calls.splice(0);
    for (const step of steps) step.again(update);
    this.#pending.call(peer, ...since);
  }

  #stepsOf(peer: PeerIdText, update: Update): Step[] {
    const { registry, isProtected } = this.#components;
    const told = toldOf(registry, peer);
    return stepsOf(peer, update, {
      told,
      connected: this.#isConnected(peer),
      isSpared: () => isProtected(peer),
      asserted: this.#asserted,
      infoOf: (offered) => this.#infoOf(peer, told, offered),
      onTaken: (call, response) => this.#noteAnswer(peer, call, response),
    });
  }

  #infoOf(peer: PeerIdText, told: Told, offered: readonly RegistryCall[] | undefined): PeerRegistryInfo {
    const { records } = this.#components.registry;
    return PeerRegistryInfo.fromPartial({
      ...toldInfo(peer, told),
      ...(offered === undefined ? {} : recordedInfo(records.get(peer), offered)),
    });
  }

  #isConnected(peer: PeerIdText): boolean {
    return this.#running && this.#connections.has(peer);
  }

  #noteAnswer(peer: PeerIdText, { method, request }: RegistryCall, response: unknown): void {
    const { link, bans } = this.#components;
    if (!link.serves || method !== 'addBanScore') return;
    if ((response as RegistryResponse<'addBanScore'>).banned)
      bans.banned(peer, `by the peer registry of the blockchain service, the last for ${request.reason}`);
  }
}
