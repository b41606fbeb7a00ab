/** What came of each message: counted, told to GossipSub, and held against its author where it is an offence. */

import type { EventEmitter } from 'node:events';
import { LRUCache } from 'lru-cache';
import type { Counter } from 'prom-client';
import type { Logger } from '../../shared/logging/logger.js';
import type { PeerFact } from '../../shared/messages/fact.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import { type Offence, OUTCOMES, type Outcome, type OutcomeName } from '../../shared/messages/outcomes.js';
import type { PeerIdText } from '../../shared/net/peer-id.js';
import type { MessageTrace } from './message-trace.js';
import type { PipelineMetrics } from './metrics.js';

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

/** What main knows of a message that it gives its verdict on. */
export interface Known {
  /** GossipSub's; undefined for our own. */
  readonly id: string | undefined;
  readonly kind: number;
  readonly author: PeerIdText;
  readonly source: PeerIdText;
  /** Ends with its verdict. */
  readonly trace: MessageTrace | undefined;
}

export interface VerdictsComponents {
  readonly logger: Logger;
  readonly metrics: PipelineMetrics;
  readonly events: EventEmitter<PipelineEvents>;
}

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

export class Verdicts {
  readonly #components: VerdictsComponents;
  /** By their ids. */
  readonly #kinds: readonly (MessageKind | undefined)[];
  readonly #counters = new Map<number, Map<OutcomeName, Counter.Internal>>();
  readonly #scored = new LRUCache<string, true>({ max: MAX_SCORED });

  constructor(components: VerdictsComponents, kinds: readonly (MessageKind | undefined)[]) {
    this.#components = components;
    this.#kinds = kinds;
  }

  /** Gives a message its verdict. */
  settle({ id, kind, author, source, trace }: Known, name: OutcomeName): void {
    this.count(kind, name);
    trace?.end(name);
    if (id === undefined) return;
    const { verdict, offence } = OUTCOME.get(name) ?? IGNORED;
    const blamed = source === author ? 'reject' : 'ignore';
    this.tell('verdict', id, verdict === 'blame' ? blamed : verdict);
    if (offence === undefined || this.#scored.has(id)) return;
    this.#scored.set(id, true);
    this.tell('offence', author, offence);
  }

  /** Counts a message that gets no verdict, or gets it otherwise. */
  count(kind: number, name: OutcomeName): void {
    this.#counterOf(kind, name).inc();
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

  /** Tells of a message that was accepted. `fact`: what it says of its author, as JSON; empty for nothing. */
  accepted({ id, author }: Known, fact: string): void {
    if (id !== undefined) this.tell('accepted', author);
    if (fact !== '') this.#guarded(() => this.#components.events.emit('fact', JSON.parse(fact) as PeerFact));
  }

  /** Tells whoever listens. */
  tell<E extends keyof PipelineEvents>(event: E, ...what: PipelineEvents[E]): void {
    this.#guarded(() => (this.#components.events as EventEmitter).emit(event, ...what));
  }

  /** One listener's failure must not cost the other messages of a batch their verdicts. */
  #guarded(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#components.logger.error({ err: error }, 'what came of a message could not be told');
    }
  }
}
