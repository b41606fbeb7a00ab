/** A message that GossipSub asks of, from its arrival until it is known what it is. */

import { monotonic, wall } from '../../shared/clock.js';
import { type OutcomeName, outcomeAt } from '../../shared/messages/outcomes.js';
import { microsOfMessage, outcomeOf } from '../../shared/pipeline/checked-batch.js';
import type { AuthorStanding } from '../../shared/pipeline/standing.js';
import type { Signed } from '../../shared/pipeline/types.js';
import type { Checking, IncomingMessage, Judgement } from '../node/types.js';
import type { Entrant, Where } from './checks.js';
import type { MessageTrace } from './message-trace.js';

/** A message after its checker, for GossipSub to ask for or not: nobody else keeps it. */
export class Finished implements Judgement {
  constructor(
    /** Of a checked batch. */
    readonly bytes: Buffer,
    readonly where: Judgement['where'],
    /** Where it is traced. */
    readonly trace?: MessageTrace | undefined,
  ) {}

  get outcome(): OutcomeName {
    return outcomeAt(outcomeOf(this.bytes)).name;
  }

  get signature(): Judgement['signature'] {
    const name = this.outcome;
    return name === 'forged' || name === 'poisonous' ? name : 'holds';
  }
}

/** What the pipeline does about a message that GossipSub asks of. */
export interface Asking {
  finished(message: Asked, finished: Finished): Judgement;
  dropped(message: Asked, why: 'shed' | 'lost'): Judgement;
  copyFrom(message: Asked, source: string): void;
}

/** A message that GossipSub asks of, on its way to a checker. One object for all of it: there are thousands a second. */
export class Asked implements Entrant, Checking {
  readonly kind: number;
  readonly author: string;
  readonly source: string;
  readonly data: Uint8Array;
  readonly signed: Signed;
  readonly receivedAt = wall.told();
  readonly queuedAt = monotonic();
  readonly standing: AuthorStanding;
  place: object | undefined = undefined;
  /** Where it is traced. */
  trace: MessageTrace | undefined = undefined;
  readonly judgement: Promise<Judgement>;
  readonly #asking: Asking;
  #settle: (judgement: Judgement) => void = () => {};

  constructor(
    { kind, author, source, data, signed }: IncomingMessage,
    standing: AuthorStanding,
    asking: Asking,
  ) {
    this.kind = kind;
    this.author = author;
    this.source = source;
    this.data = data;
    this.signed = signed;
    this.standing = standing;
    this.#asking = asking;
    this.judgement = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  finish(checked: Buffer, where: Where, collected: number): void {
    const { trace } = this;
    trace?.checked({ from: collected, micros: microsOfMessage(checked), where });
    this.#settle(this.#asking.finished(this, new Finished(checked, where, trace)));
  }

  drop(why: 'shed' | 'lost'): void {
    this.trace?.end('shed');
    this.#settle(this.#asking.dropped(this, why));
  }

  copyFrom(source: string): void {
    this.#asking.copyFrom(this, source);
  }
}
