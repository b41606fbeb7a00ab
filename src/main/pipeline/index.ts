/**
 * The pipeline: what gossip brought in one turn becomes a batch and goes unopened to a checker, which verifies it and, where the
 * signature holds, checks it. The answers are given to GossipSub in the order in which the batches were collected. What that takes for
 * new is handed to the publisher at the end of the same turn, and comes back as verdicts.
 */

import { EventEmitter } from 'node:events';
import { LRUCache } from 'lru-cache';
import pTimeout from 'p-timeout';
import type { Counter } from 'prom-client';
import { monotonic, wall } from '../../shared/clock.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { CheckContext } from '../../shared/messages/context.js';
import type { PeerFact } from '../../shared/messages/fact.js';
import { framedBound } from '../../shared/messages/framing.js';
import { byId } from '../../shared/messages/ids.js';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import {
  isTaken,
  type Offence,
  OUTCOMES,
  type Outcome,
  type OutcomeName,
  outcomeAt,
  outcomeIndex,
} from '../../shared/messages/outcomes.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import { checkDirect, ownMessage } from '../../shared/pipeline/check.js';
import { checkContextOf } from '../../shared/pipeline/check-context.js';
import {
  encodeCheckedBatch,
  factOf,
  joinCheckedMessages,
  microsOfMessage,
  outcomeOf,
  sliceCheckedBatch,
} from '../../shared/pipeline/checked-batch.js';
import type { AuthorStanding } from '../../shared/pipeline/standing.js';
import type { PublisherConfig } from '../../shared/pipeline/worker-config.js';
import { QUEUES } from '../../shared/queues.js';
import type { Settings } from '../../shared/settings/table.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { TracedMessage, TraceParent } from '../../shared/tracing/types.js';
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
import { type MessageTrace, MessageTraces } from './message-trace.js';
import type { PipelineMetrics } from './metrics.js';
import { PublisherPool } from './publisher-pool.js';

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

export interface PipelineEvents {
  /** What GossipSub waits for: one for each message that was pushed. */
  verdict: [messageId: string, verdict: 'accept' | 'ignore' | 'reject'];
  /** A message of this author was accepted, whoever brought it; none of our own. */
  accepted: [author: PeerIdText];
  /** What a peer told of itself, in a message that was accepted or on the direct stream. */
  fact: [fact: PeerFact];
  /** A peer's best block, which it told on the direct stream: also a fact. */
  bestBlock: [block: PeerFact & { readonly type: 'block' }];
  /** By the author, whose signature the message bears, or whose direct stream it is. */
  offence: [author: PeerIdText, offence: Offence];
}

export interface PipelineOptions {
  readonly publisher: PublisherConfig;
  /** Those that come, and that the checkers know. @default MESSAGE_KINDS */
  readonly kinds?: readonly MessageKind[];
  readonly checkerFile?: URL;
  readonly publisherFile?: URL;
  readonly checkerTimeoutMs?: number;
  readonly publisherTimeoutMs?: number;
}

/** Bytes with the publisher from which on nothing more is collected: what waits for it is to wait where it can be shed. */
const PUBLISHING_BYTES = QUEUES.publishing.bounds.bytes;
const DRAIN_TIMEOUT_MS = 3000;
/** Kinds from this priority on are shed last, and each second of it is logged. */
const LOUD_PRIORITY = 5;

/**
 * Messages whose author was scored for them. Anybody may send a signed message again once GossipSub has forgotten it, so one
 * mistake of an honest author would ban it for ever. As many as all peers whose score is remembered can have until banned:
 * who crowds these out crowds out the scores too.
 */
const MAX_SCORED = 50_000;

const OUTCOME: ReadonlyMap<OutcomeName, Outcome> = new Map(
  OUTCOMES.map((outcome) => [outcome.name, outcome]),
);
const IGNORED: Outcome = { name: 'shed', verdict: 'ignore' };
const REFUSED: Judgement = { signature: 'refused', where: 'main' };
const NOT_LOOKED_AT: Checking = { judgement: Promise.resolve(REFUSED), copyFrom: () => {} };
const SHED: Judgement = { signature: 'shed', where: 'main' };

/** What main knows of a message that it gives its verdict on. */
interface Known {
  /** GossipSub's; undefined for our own. */
  readonly id: string | undefined;
  readonly kind: number;
  readonly author: PeerIdText;
  readonly source: PeerIdText;
  /** Ends with its verdict. */
  readonly trace: MessageTrace | undefined;
}

/** A message on its way to the publisher, or with it. */
interface Claim {
  readonly message: Known;
  /** Of a checked batch. */
  readonly bytes: Buffer;
  /** What the publisher's spans are below. */
  readonly parent: TraceParent | undefined;
}

export class Pipeline extends EventEmitter<PipelineEvents> implements MessageChecks {
  readonly #components: PipelineComponents;
  /** By their ids. */
  readonly #kinds: readonly (MessageKind | undefined)[];
  readonly #ownPeer: PeerIdText;
  readonly #ownContext: CheckContext;
  readonly #checks: Checks;
  readonly publisher: PublisherPool;
  readonly #traces: MessageTraces;
  readonly #counters = new Map<number, Map<OutcomeName, Counter.Internal>>();
  readonly #asking: Asking = {
    finished: (message, finished) => this.#finished(message, finished),
    dropped: (message, why) => this.#dropped(message, why),
    copyFrom: (message, source) => this.#checks.copyFrom(message, source),
  };
  #tipBits = 0;
  #started = false;
  #closed = false;
  /** For the publisher, at the end of the turn. */
  #claims: Claim[] = [];
  /** Checked messages that GossipSub has not asked for in this turn. */
  #unclaimed = 0;
  /** Those of this turn that are traced. */
  #traced: MessageTrace[] = [];
  #handingOver = false;
  /** Batches and bytes with the publisher. */
  #publishing = 0;
  #publishingBytes = 0;
  #idle: (() => void)[] = [];
  readonly #scored = new LRUCache<string, true>({ max: MAX_SCORED });
  #shedLoudly = 0;
  #lastLoud = 0;

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
        canTake: () => this.#publishingBytes < PUBLISHING_BYTES,
      },
    );
    metrics.showPublishing(() => this.#publishingBytes);
    this.publisher = new PublisherPool(
      { logger, metrics },
      {
        config: options.publisher,
        ...(publisherFile === undefined ? {} : { file: publisherFile }),
        ...(publisherTimeoutMs === undefined ? {} : { taskTimeoutMs: publisherTimeoutMs }),
      },
    );
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
    return this.#publishing > 0 || this.#handingOver || this.#checks.inFlight > 0 || this.#checks.waiting > 0;
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
      this.#counterOf(incoming.kind, refusal).inc();
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
      this.#unclaimed -= 1;
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
    if (bytes !== undefined && isTaken(checked.outcome)) this.#claim({ message, bytes, parent });
    else this.#settle(message, outcomeAt(checked.outcome).name);
  }

  /** Takes a message of the direct stream: a peer's best block. */
  takeDirect({ source, data }: { readonly source: PeerIdText; readonly data: Uint8Array }): void {
    const context = { ...this.#ownContext, tipBits: this.#tipBits };
    const { outcome, fact } = checkDirect(source, data, context);
    const { name, offence } = outcomeAt(outcome);
    if (fact === undefined) {
      this.#components.logger.debug({ peer: source, outcome: name }, 'best-block answer refused');
    }
    if (fact !== undefined) this.#tell(() => this.emit('fact', fact));
    if (fact?.type === 'block') this.#tell(() => this.emit('bestBlock', fact));
    if (offence !== undefined) this.#tell(() => this.emit('offence', source, offence));
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
      const left = { waiting: this.#checks.waiting, batches: this.#checks.inFlight + this.#publishing };
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
      this.#unclaimed += 1;
      if (finished.trace !== undefined) this.#traced.push(finished.trace);
      this.#handOverSoon();
    } else {
      finished.trace?.end(finished.outcome);
      this.#counterOf(message.kind, finished.outcome).inc();
    }
    this.#rest();
    return finished;
  }

  #dropped(message: Asked, why: 'shed' | 'lost'): Judgement {
    this.#counterOf(message.kind, 'shed').inc();
    if (why === 'lost') return REFUSED;
    this.#tellShed(message);
    return SHED;
  }

  /** A message that the library verified. */
  #checkReceived(heard: ReceivedMessage): void {
    const refusal = this.#refusal(heard);
    if (refusal !== undefined) {
      this.#settle({ ...heard, trace: undefined }, refusal);
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
        if (why === 'shed') this.#tellShed(message);
        this.#settle({ ...heard, trace }, 'shed');
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
    if (this.#components.bans.isPeerBanned(author)) this.#settle(message, 'banned');
    else if (isTaken(outcomeOf(bytes))) this.#claim({ message, bytes, parent: trace?.context });
    else this.#settle(message, finished.outcome);
  }

  #claim(claim: Claim): void {
    this.#claims.push(claim);
    this.#handOverSoon();
  }

  /** When GossipSub has been given every answer of this turn, and what comes of that in promises has come. */
  #handOverSoon(): void {
    if (this.#handingOver) return;
    this.#handingOver = true;
    queueMicrotask(() => process.nextTick(() => this.#handOver()));
  }
  #handOver(): void {
    this.#handingOver = false;
    if (this.#unclaimed > 0) this.#components.metrics.unclaimed.inc(this.#unclaimed);
    this.#unclaimed = 0;
    if (this.#traced.length > 0) {
      for (const trace of this.#traced) if (!trace.claimed) trace.end('duplicate');
      this.#traced = [];
    }
    const claims = this.#claims;
    this.#claims = [];
    if (claims.length > 0) this.#publish(claims);
    else this.#rest();
  }

  #publish(claims: readonly Claim[]): void {
    const { metrics, logger } = this.#components;
    const batch = joinCheckedMessages(claims.map(({ bytes }) => bytes));
    const { byteLength } = batch;
    this.#publishing += 1;
    this.#publishingBytes += byteLength;
    const handedOver = monotonic();
    this.publisher
      .publish(batch, tracedOf(claims))
      .then(({ outcomes }) => {
        metrics.stageSeconds.observe({ stage: 'published' }, (monotonic() - handedOver) / 1000);
        return claims.map((_, index) => outcomeAt(outcomes[index] ?? -1).name);
      })
      .catch((error: unknown) => {
        logger.error({ err: error, messages: claims.length }, 'a batch was lost');
        return claims.map((): OutcomeName => 'shed');
      })
      .then((names) => {
        claims.forEach((claim, index) => {
          this.#concluded(claim, names[index] ?? 'shed');
        });
      })
      .finally(() => {
        this.#publishing -= 1;
        this.#publishingBytes -= byteLength;
        this.#checks.collectSoon();
        this.#rest();
      })
      .catch((error: unknown) => logger.error({ err: error }, 'a batch was not finished'));
  }

  #concluded({ message, bytes }: Claim, name: OutcomeName): void {
    this.#settle(message, name);
    if (!isTaken(outcomeIndex(name))) return;
    if (message.id !== undefined) this.#tell(() => this.emit('accepted', message.author));
    const fact = factOf(bytes);
    if (fact === '') return;
    this.#tell(() => this.emit('fact', JSON.parse(fact) as PeerFact));
  }

  /** Tells who waits for it when nothing is left to do. */
  #rest(): void {
    if (this.busy) return;
    const waiting = this.#idle;
    this.#idle = [];
    for (const resolve of waiting) resolve();
  }

  #settle({ id, kind, author, source, trace }: Known, name: OutcomeName): void {
    this.#counterOf(kind, name).inc();
    trace?.end(name);
    if (id === undefined) return;
    const { verdict, offence } = OUTCOME.get(name) ?? IGNORED;
    const blamed = source === author ? 'reject' : 'ignore';
    this.#tell(() => this.emit('verdict', id, verdict === 'blame' ? blamed : verdict));
    if (offence === undefined || this.#scored.has(id)) return;
    this.#scored.set(id, true);
    this.#tell(() => this.emit('offence', author, offence));
  }

  /** Looked up by labels once: for each message that costs more than counting. */
  #counterOf(kind: number, name: OutcomeName): Counter.Internal {
    let ofKind = this.#counters.get(kind);
    if (ofKind === undefined) {
      ofKind = new Map();
      this.#counters.set(kind, ofKind);
    }
    let counter = ofKind.get(name);
    if (counter === undefined) {
      counter = this.#components.metrics.messages.labels({
        kind: this.#kinds[kind]?.name ?? 'unknown',
        outcome: name,
      });
      ofKind.set(name, counter);
    }
    return counter;
  }

  /** One listener's failure must not cost the other messages of a batch their verdicts. */
  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#components.logger.error({ err: error }, 'what came of a message could not be told');
    }
  }

  /** Says that blocks or subtrees had to make room. */
  #tellShed({ kind, source }: Entrant): void {
    if ((this.#kinds[kind]?.priority ?? 0) < LOUD_PRIORITY) return;
    this.#shedLoudly += 1;
    const now = monotonic();
    if (now - this.#lastLoud < 1000) return;
    this.#components.logger.error(
      { shed: this.#shedLoudly, source, queuedBytes: this.#checks.waitingBytes },
      'blocks or subtrees are shed: more is heard than can be checked',
    );
    this.#lastLoud = now;
    this.#shedLoudly = 0;
  }
}

/** Those of a batch that are traced; undefined where none is. */
function tracedOf(claims: readonly Claim[]): readonly TracedMessage[] | undefined {
  let traced: TracedMessage[] | undefined;
  for (let index = 0; index < claims.length; index++) {
    const parent = claims[index]?.parent;
    if (parent === undefined) continue;
    traced ??= [];
    traced.push({ index, parent });
  }
  return traced;
}
