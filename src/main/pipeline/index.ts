/**
 * The pipeline: what gossip brought in one turn becomes a batch and goes unopened to a checker, which verifies it and, where the
 * signature holds, checks it. The answers are given to GossipSub in the order in which the batches were collected. What that takes for
 * new is handed to the publisher at the end of the same turn, and comes back as verdicts.
 */

import { EventEmitter } from 'node:events';
import pTimeout from 'p-timeout';
import { monotonic, wall } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { CheckContext } from '../../shared/messages/context.js';
import { framedBound } from '../../shared/messages/framing.js';
import { byId } from '../../shared/messages/ids.js';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import { isTaken, type OutcomeName, outcomeAt, outcomeIndex } from '../../shared/messages/outcomes.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { checkDirect, ownMessage } from '../../shared/pipeline/check.js';
import { checkContextOf } from '../../shared/pipeline/check-context.js';
import {
  encodeCheckedBatch,
  factOf,
  microsOfMessage,
  outcomeOf,
  sliceCheckedBatch,
} from '../../shared/pipeline/checked-batch.js';
import type { AuthorStanding } from '../../shared/pipeline/standing.js';
import type { PublisherConfig } from '../../shared/pipeline/worker-config.js';
import type { Settings } from '../../shared/settings/table.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { TraceParent } from '../../shared/tracing/types.js';
import type {
  BanPolicy,
  Checking,
  IncomingMessage,
  Judgement,
  MessageChecks,
  ReceivedMessage,
} from '../node/types.js';
import { Asked, type Asking, Finished } from './asked.js';
import type { CheckerPool } from './checker-pool.js';
import { Checks, type Entrant } from './checks.js';
import { MessageTraces } from './message-trace.js';
import type { PipelineMetrics } from './metrics.js';
import { PublisherPool } from './publisher-pool.js';
import { type Claim, Publishing } from './publishing.js';
import { ShedLog } from './shed-log.js';
import { type PipelineEvents, Verdicts } from './verdicts.js';

export interface PipelineComponents {
  readonly settings: Settings;
  readonly logger: Logger;
  readonly metrics: PipelineMetrics;
  readonly bans: Pick<BanPolicy, 'isPeerBanned'>;
  /** Asked for every message: constant time. */
  readonly reputation: { isLow(peer: PeerIdText): boolean };
  /** Asked for every message: constant time. */
  readonly standingOf: (author: PeerIdText) => AuthorStanding;
  /** Undefined: nothing is traced. */
  readonly tracers?: Tracers | undefined;
}

export interface PipelineOptions {
  readonly publisher: PublisherConfig;
  /**
   * Those that come, and that the checkers know.
   * @default MESSAGE_KINDS
   */
  readonly kinds?: readonly MessageKind[];
  readonly checkerFile?: URL;
  readonly publisherFile?: URL;
  readonly checkerTimeoutMs?: number;
  readonly publisherTimeoutMs?: number;
}

const DRAIN_TIMEOUT_MS = 3000;

const REFUSED: Judgement = { signature: 'refused', where: 'main' };
const NOT_LOOKED_AT: Checking = { judgement: Promise.resolve(REFUSED), copyFrom: () => {} };
const SHED: Judgement = { signature: 'shed', where: 'main' };

export class Pipeline extends EventEmitter<PipelineEvents> implements MessageChecks {
  readonly #components: PipelineComponents;
  /** By their ids. */
  readonly #kinds: readonly (MessageKind | undefined)[];
  readonly #ownPeer: PeerIdText;
  readonly #ownContext: CheckContext;
  readonly #checks: Checks;
  readonly publisher: PublisherPool;
  readonly #traces: MessageTraces;
  readonly #verdicts: Verdicts;
  readonly #shed: ShedLog;
  readonly #publishing: Publishing;
  readonly #asking: Asking = {
    finished: (message, finished) => this.#finished(message, finished),
    dropped: (message, why) => this.#dropped(message, why),
    copyFrom: (message, source) => this.#checks.copyFrom(message, source),
  };
  #tipBits = 0;
  #started = false;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(components: PipelineComponents, options: PipelineOptions) {
    super();
    const { settings, logger, metrics } = components;
    this.#components = components;
    const { kinds = MESSAGE_KINDS } = options;
    this.#kinds = byId(kinds);
    this.#ownPeer = options.publisher.peerId;
    this.#ownContext = checkContextOf(settings);
    this.#traces = new MessageTraces(components.tracers, { settings, kinds: this.#kinds });
    const { checkerFile, publisherFile, checkerTimeoutMs, publisherTimeoutMs } = options;
    this.#checks = new Checks(
      { settings, logger, metrics },
      {
        kinds,
        ...(checkerFile === undefined ? {} : { checkerFile }),
        ...(checkerTimeoutMs === undefined ? {} : { checkerTimeoutMs }),
        canTake: () => this.#publishing.canTake,
      },
    );
    this.publisher = new PublisherPool(
      { logger, metrics },
      {
        config: options.publisher,
        ...(publisherFile === undefined ? {} : { file: publisherFile }),
        ...(publisherTimeoutMs === undefined ? {} : { taskTimeoutMs: publisherTimeoutMs }),
      },
    );
    this.#verdicts = new Verdicts({ logger, metrics, events: this }, this.#kinds);
    this.#shed = new ShedLog(logger, this.#kinds);
    this.#publishing = new Publishing({
      publisher: this.publisher,
      logger,
      metrics,
      concluded: (claim, name) => this.#concluded(claim, name),
      answered: () => this.#checks.collectSoon(),
      rested: () => this.#rest(),
    });
    metrics.showPublishing(() => this.#publishing.bytes);
  }

  get checkers(): CheckerPool {
    return this.#checks.checkers;
  }

  /** Why a pool cannot respawn, for liveness; undefined while both can. */
  get failed(): string | undefined {
    return this.checkers.failed ?? this.publisher.failed;
  }

  /** Whether both pools came to run. */
  get started(): boolean {
    return this.#started;
  }

  /** Whether anything taken has no verdict yet. */
  get busy(): boolean {
    return this.#publishing.busy || this.#checks.inFlight > 0 || this.#checks.waiting > 0;
  }

  /** Compact target of our tip, for the header checks of the messages to come. */
  setTipBits(bits: number): void {
    this.#tipBits = bits;
    this.#checks.setTipBits(bits);
  }

  /** Starts both pools; a pool that cannot start leaves neither. */
  async start(): Promise<void> {
    try {
      await Promise.all([this.publisher.start(), this.#checks.start()]);
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.#started = true;
    this.#checks.open();
  }

  /**
   * Verifies a message and, if its signature holds, checks it. What its author has no say in is refused before; it counts against
   * nobody. What holds is for GossipSub to take up, by a `heard` message with this judgement in the same turn, or else forgotten.
   */
  check(incoming: IncomingMessage): Checking {
    const refusal = this.#refusal(incoming);
    if (refusal !== undefined) {
      this.#verdicts.count(incoming.kind, refusal);
      return NOT_LOOKED_AT;
    }
    const message = new Asked(incoming, this.#components.standingOf(incoming.author), this.#asking);
    message.trace = this.#traces.begin(incoming, message.queuedAt);
    this.#checks.push(message);
    return message;
  }

  /** Takes a message whose signature holds. Its verdict comes later, exactly once. */
  push(heard: ReceivedMessage): void {
    const { judgement } = heard;
    if (judgement instanceof Finished) {
      this.#publishing.takeUp();
      this.#take(heard, judgement);
    } else this.#checkReceived(heard);
  }

  /** Takes one of our own messages: for the WebSocket clients. `parent`: its span, where it is traced. */
  pushOwn<M extends object>(kind: MessageKind<M>, own: Partial<M>, parent?: TraceParent): void {
    if (this.#closed) return;
    const author = this.#ownPeer;
    const message = { id: undefined, kind: kind.id, author, source: author, trace: undefined };
    const checked = ownMessage(kind, own, { author, receivedAt: wall.told() }, this.#ownContext);
    const [bytes] = sliceCheckedBatch(encodeCheckedBatch([checked]));
    if (bytes !== undefined && isTaken(checked.outcome)) this.#publishing.claim({ message, bytes, parent });
    else this.#verdicts.settle(message, outcomeAt(checked.outcome).name);
  }

  /** Takes a message of the direct stream: a peer's best block. */
  takeDirect({ source, data }: { readonly source: PeerIdText; readonly data: Uint8Array }): void {
    const context = { ...this.#ownContext, tipBits: this.#tipBits };
    const { outcome, fact } = checkDirect(source, data, context);
    const { name, offence } = outcomeAt(outcome);
    if (fact === undefined) {
      this.#components.logger.debug({ peer: source, outcome: name }, 'best-block answer refused');
    }
    if (fact !== undefined) this.#verdicts.tell('fact', fact);
    if (fact?.type === 'block') this.#verdicts.tell('bestBlock', fact);
    if (offence !== undefined) this.#verdicts.tell('offence', source, offence);
  }

  /**
   * Takes no more and resolves when everything taken has its verdict, or after `timeoutMs`, when a publisher that does not
   * respawn keeps it: neighbours that get no verdict announce again elsewhere.
   */
  async drain(timeoutMs = DRAIN_TIMEOUT_MS): Promise<void> {
    this.#closed = true;
    if (!this.busy) return;
    const idle = new Promise<void>((resolve) => this.#idle.push(resolve));
    await pTimeout(idle, { milliseconds: Math.max(1, timeoutMs), message: false });
    if (this.busy) {
      const left = {
        waiting: this.#checks.waiting,
        batches: this.#checks.inFlight + this.#publishing.batches,
      };
      this.#components.logger.warn(left, 'messages are left without a verdict');
    }
  }

  /** Ends the pools at once; `drain` first, and the publisher's `close`, for a clean end. */
  async stop(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.#checks.stop(), this.publisher.stop()]);
  }

  /** Why a message is not even looked at. */
  #refusal({ kind, author, data }: Omit<IncomingMessage, 'signed'>): OutcomeName | undefined {
    const { bans, reputation } = this.#components;
    const of = this.#kinds[kind];
    if (of === undefined || this.#closed) return 'shed';
    if (bans.isPeerBanned(author)) return 'banned';
    if (of.needsReputation && reputation.isLow(author)) return 'low_reputation';
    return data.length > framedBound(of.sizeBound) ? 'oversized' : undefined;
  }

  #finished(message: Asked, finished: Finished): Judgement {
    if (finished.signature === 'holds') {
      this.#publishing.offer(finished.trace);
    } else {
      finished.trace?.end(finished.outcome);
      this.#verdicts.count(message.kind, finished.outcome);
    }
    this.#rest();
    return finished;
  }

  #dropped(message: Asked, why: 'shed' | 'lost'): Judgement {
    this.#verdicts.count(message.kind, 'shed');
    if (why === 'lost') return REFUSED;
    this.#shed.tell(message, this.#checks.waitingBytes);
    return SHED;
  }

  /** A message that the library verified. */
  #checkReceived(heard: ReceivedMessage): void {
    const refusal = this.#refusal(heard);
    if (refusal !== undefined) {
      this.#verdicts.settle({ ...heard, trace: undefined }, refusal);
      return;
    }
    const { kind, author, source, data } = heard;
    const queuedAt = monotonic();
    const trace = this.#traces.begin(heard, queuedAt);
    const message: Entrant = {
      kind,
      author,
      source,
      data,
      receivedAt: wall.told(),
      queuedAt,
      standing: this.#components.standingOf(author),
      finish: (checked, where, collected) => {
        trace?.checked({ from: collected, micros: microsOfMessage(checked), where });
        this.#take(heard, new Finished(checked, where, trace));
      },
      drop: (why) => {
        if (why === 'shed') this.#shed.tell(message, this.#checks.waitingBytes);
        this.#verdicts.settle({ ...heard, trace }, 'shed');
      },
    };
    this.#checks.push(message);
  }

  /** GossipSub takes it for new. */
  #take({ id, kind, author, source }: ReceivedMessage, finished: Finished): void {
    const { bytes, trace } = finished;
    const message = { id, kind, author, source, trace };
    if (trace !== undefined) trace.claimed = true;
    // Whoever was banned while it waited for a checker has no say from then on.
    if (this.#components.bans.isPeerBanned(author)) this.#verdicts.settle(message, 'banned');
    else if (isTaken(outcomeOf(bytes))) this.#publishing.claim({ message, bytes, parent: trace?.context });
    else this.#verdicts.settle(message, finished.outcome);
  }

  #concluded({ message, bytes }: Claim, name: OutcomeName): void {
    this.#verdicts.settle(message, name);
    if (isTaken(outcomeIndex(name))) this.#verdicts.accepted(message, factOf(bytes));
  }

  /** Tells who waits for it when nothing is left to do. */
  #rest(): void {
    if (this.busy) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }
}
