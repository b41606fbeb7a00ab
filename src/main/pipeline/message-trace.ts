/** The way through main of a message that is traced. */

import { gossipTopic } from '../../shared/bitcoin/networks.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import type { OutcomeName } from '../../shared/messages/outcomes.js';
import type { Settings } from '../../shared/settings/table.js';
import { messagingValues } from '../../shared/tracing/messaging.js';
import type { Tracer } from '../../shared/tracing/tracer.js';
import type { Tracers } from '../../shared/tracing/tracing.js';
import type { TraceParent, TraceSpan } from '../../shared/tracing/types.js';
import type { IncomingMessage } from '../node/types.js';
import type { Where } from './checks.js';

/** What can become of it besides an outcome: GossipSub had it already. */
type End = OutcomeName | 'duplicate';

export class MessageTrace {
  readonly #tracer: Tracer;
  readonly #span: TraceSpan;
  /** GossipSub has taken it for new. */
  claimed = false;

  constructor(tracer: Tracer, span: TraceSpan) {
    this.#tracer = tracer;
    this.#span = span;
  }

  get context(): TraceParent {
    return this.#span.context;
  }

  /** Times are monotonic. */
  checked(check: { readonly from: number; readonly micros: number; readonly where: Where }): void {
    const { from, micros, where } = check;
    this.#tracer
      .start('check', {
        parent: this.context,
        at: from,
        values: { 'teranode.p2p.check.where': where, 'teranode.p2p.check.duration_us': micros },
      })
      ?.end();
  }

  end(outcome: End): void {
    this.#span.set({ 'teranode.p2p.outcome': outcome });
    if (outcome === 'store_failed' || outcome === 'poisonous') this.#span.fail(outcome);
    this.#span.end();
  }
}

export class MessageTraces {
  readonly #tracers: Tracers | undefined;
  readonly #topicOf: (kind: number) => string;
  readonly #nameOf: (kind: number) => string;

  constructor(
    tracers: Tracers | undefined,
    {
      settings,
      kinds,
    }: { readonly settings: Settings; readonly kinds: readonly (MessageKind | undefined)[] },
  ) {
    this.#tracers = tracers;
    this.#nameOf = (kind) => kinds[kind]?.name ?? 'unknown';
    this.#topicOf = (kind) => {
      const of = kinds[kind];
      return of === undefined ? 'unknown' : gossipTopic(settings, of);
    };
  }

  /** Undefined for all but those that are traced. Asked of each message. `at`: when it came (monotonic). */
  begin(
    { kind, author, source, data }: Pick<IncomingMessage, 'kind' | 'author' | 'source' | 'data'>,
    at: number,
  ): MessageTrace | undefined {
    const tracer = this.#tracers?.sampled();
    if (tracer === undefined) return undefined;
    const topic = this.#topicOf(kind);
    const span = tracer.message(`process ${topic}`, {
      kind: 'consumer',
      at,
      values: {
        ...messagingValues('gossipsub', 'process', topic),
        'messaging.message.body.size': data.length,
        'teranode.p2p.kind': this.#nameOf(kind),
        'teranode.p2p.author': author,
        'teranode.p2p.source': source,
      },
    });
    return new MessageTrace(tracer, span);
  }
}
