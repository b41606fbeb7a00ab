/** The one way out: a message of ours goes to our WebSocket clients and, where it may, to the network. */

import pTimeout from 'p-timeout';
import { gossipTopic } from '../../shared/bitcoin/networks.js';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { encodeMessage } from '../../shared/messages/encode.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import type { Settings } from '../../shared/settings/table.js';
import { messagingValues } from '../../shared/tracing/messaging.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { TraceParent, TraceSpan } from '../../shared/tracing/types.js';
import type { ChainView } from '../chain/follower.js';
import type { P2PNode } from '../node/types.js';
import type { AnnounceMetrics, BlockedStage } from './metrics.js';
import { publishPolicyOf } from './publish-policy.js';

/** Milliseconds that one publishing may hold up the next: order is kept, but nobody waits for ever. */
const PUBLISH_PATIENCE_MS = 5_000;

export interface AnnouncementPublisherComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: AnnounceMetrics;
  readonly node: Pick<P2PNode, 'publish'>;
  /** Hands a message of ours to the pipeline, for WebSocket clients. */
  readonly showLocally: <M extends object>(
    kind: MessageKind<M>,
    message: Partial<M>,
    trace: TraceParent | undefined,
  ) => void;
  /** Undefined: nothing is traced. */
  readonly tracers?: Tracers | undefined;
  readonly chain: Pick<ChainView, 'fsmState'>;
}

export class AnnouncementPublisher {
  readonly #components: AnnouncementPublisherComponents;
  readonly #failing = new Set<string>();

  constructor(components: AnnouncementPublisherComponents) {
    this.#components = components;
  }

  /** Whether a message of this kind would leave the machine now. */
  canReachNetwork(kind: string): boolean {
    return (
      publishPolicyOf(kind, this.#components.settings.listen_mode, this.#components.chain.fsmState) ===
      'publish'
    );
  }

  /** Whether anybody at all would see a message of this kind now. */
  canPublish(kind: string): boolean {
    return (
      publishPolicyOf(kind, this.#components.settings.listen_mode, this.#components.chain.fsmState) !== 'drop'
    );
  }

  /** Counts what the state of the chain keeps back: before any work for it, or at the last moment since the state has changed meanwhile. */
  dropped(kind: string, stage: BlockedStage = 'precheck'): void {
    const { metrics, chain } = this.#components;
    const state = chain.fsmState;
    metrics.publications.inc({ kind, outcome: 'dropped' });
    metrics.blocked.inc({
      topic: kind,
      fsm_state: state === undefined || state === 'RUNNING' ? 'UNKNOWN' : state,
      stage,
    });
  }

  /**
   * Publishes `message`. With `reachable` false only our WebSocket clients get it, counted as `no_url`. Resolves with the number of peers it went
   * to, 0 when it went to none; never rejects.
   */
  async publish<M extends object>(
    kind: MessageKind<M>,
    message: Partial<M>,
    reachable = true,
  ): Promise<number> {
    const { settings, metrics, node, showLocally: showOwn, chain } = this.#components;
    const policy = publishPolicyOf(kind.name, settings.listen_mode, chain.fsmState);
    if (policy === 'drop') {
      this.dropped(kind.name, 'chokepoint');
      return 0;
    }
    const span = this.#span(kind);
    try {
      const data = encodeMessage(kind, message, settings.p2p_payload_framing, settings.clientName);
      if (kind.frame !== undefined) showOwn(kind, message, span?.context);
      if (policy === 'local' || !reachable) {
        metrics.publications.inc({ kind: kind.name, outcome: policy === 'local' ? 'local_only' : 'no_url' });
        return 0;
      }
      const peers = await pTimeout(node.publish(kind.id, data), {
        milliseconds: PUBLISH_PATIENCE_MS,
        message: `publishing took over ${PUBLISH_PATIENCE_MS} ms`,
      });
      span?.set({ 'messaging.message.body.size': data.length, 'teranode.p2p.peers': peers });
      metrics.publications.inc({ kind: kind.name, outcome: peers > 0 ? 'published' : 'no_peers' });
      this.#failing.delete(kind.name);
      return peers;
    } catch (error) {
      metrics.publications.inc({ kind: kind.name, outcome: 'failed' });
      this.#complain(kind.name, error);
      span?.fail('publish', errorMessage(error));
      return 0;
    } finally {
      span?.end();
    }
  }

  /** Of a message that goes out, where it is traced. */
  #span(kind: Pick<MessageKind, 'name' | 'topic'>): TraceSpan | undefined {
    const { settings, tracers } = this.#components;
    const tracer = tracers?.sampled();
    if (tracer === undefined) return undefined;
    const topic = gossipTopic(settings, kind);
    const values = { ...messagingValues('gossipsub', 'send', topic), 'teranode.p2p.kind': kind.name };
    return tracer.message(`send ${topic}`, { kind: 'producer', values });
  }

  /** Once until it works again: a node without peers fails at every status. */
  #complain(kind: string, error: unknown): void {
    if (this.#failing.has(kind)) return;
    this.#failing.add(kind);
    this.#components.logger.warn({ kind, reason: errorMessage(error) }, 'could not publish');
  }
}
