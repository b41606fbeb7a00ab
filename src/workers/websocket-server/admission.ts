/**
 * Who may come in. uWebSockets.js can upgrade only in the turn in which the request came (a later, corked upgrade closes one
 * connection in twenty: uNetworking/uWebSockets#1928), so the answer comes at once from this process's copy of the count that
 * main keeps, and main confirms it. Where processes share a port, two may take the last place at the same moment: main
 * then refuses one, which is closed. A main that stands still holds up nobody: until it answers, this process's copy decides.
 */

import type { PlaceAnswer } from '../../shared/feed/control.js';
import type { ConnectionLedger, Visitor } from '../../shared/net/connection-ledger.js';

/** The desk that keeps the count over all processes: main over IPC. */
export interface AdmissionQuota {
  admit(requests: readonly (readonly [id: number, ...Visitor])[]): void;
  release(visitors: readonly Visitor[]): void;
}

/** This process in its own copy of the count; the others bear main's names for them. */
const OWN = 'own';
/** Places unconfirmed at the most: above it a client is refused. */
const MAX_WAITING = 4096;

/** A place that a client holds, from `enter` until `leave`. */
export interface Place {
  readonly address: string;
  /** Calls `heard` once, when main has answered, unless the client has left by then, or before it was asked. */
  confirm(heard: (answer: PlaceAnswer) => void): void;
  leave(): void;
}

interface Question {
  readonly visitor: Visitor;
  /** Undefined once nobody waits for it: what main then grants is given back. */
  answer: ((answer: PlaceAnswer) => void) | undefined;
  /** Places given back to the desk before it was asked. */
  released: number;
}

export class Admission {
  readonly #waiting = new Map<number, Question>();
  #requests: [number, ...Visitor][] = [];
  #releases: Visitor[] = [];
  #scheduled = false;
  #lastId = 0;
  #released = 0;

  /** `ledger` is this process's copy. */
  constructor(
    private readonly quota: AdmissionQuota,
    private readonly ledger: ConnectionLedger,
  ) {}

  /** Whether one more client may come in by the token of this name. */
  tokenHasRoom(token: string): boolean {
    return this.ledger.tokenHasRoom(token);
  }

  /** A place for a client from `address` (empty: unknown), by the token of this name (empty: without one), or undefined when there is none. */
  enter(address: string, token = ''): Place | undefined {
    if (this.#waiting.size >= MAX_WAITING || !this.ledger.admit(OWN, address, token)) return undefined;
    const visitor: Visitor = [address, token];
    let question: Question | undefined;
    let granted = false;
    let left = false;
    return {
      address,
      confirm: (heard) => {
        // Who is refused in its first turn: nobody would give back what main grants.
        if (left) return;
        question = this.#ask(visitor, (answer) => {
          granted = answer === 'granted';
          heard(answer);
        });
      },
      leave: () => {
        if (left) return;
        left = true;
        this.ledger.release(OWN, address, token);
        if (question !== undefined) question.answer = undefined;
        if (granted) this.#release(visitor);
      },
    };
  }

  /** The desk's answers. */
  answered(answers: readonly (readonly [id: number, answer: PlaceAnswer])[]): void {
    for (const [id, answer] of answers) {
      const granted = answer === 'granted';
      const question = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (question === undefined) continue;
      if (question.answer === undefined) {
        if (granted) this.#release(question.visitor);
      } else if (!granted && this.#released > question.released) {
        // The desk counted a place that has been given back since: who took it here asks again, behind that.
        this.#again(id, question);
      } else question.answer(answer);
    }
  }

  stop(): void {
    this.#flush();
  }

  #ask(visitor: Visitor, answer: (answer: PlaceAnswer) => void): Question {
    const id = ++this.#lastId;
    const question: Question = { visitor, answer, released: this.#released };
    this.#waiting.set(id, question);
    this.#requests.push([id, ...visitor]);
    this.#schedule();
    return question;
  }

  #again(id: number, question: Question): void {
    question.released = this.#released;
    this.#waiting.set(id, question);
    this.#requests.push([id, ...question.visitor]);
    this.#schedule();
  }

  #release(visitor: Visitor): void {
    this.#released++;
    this.#releases.push(visitor);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    // Releases first: those who leave make room for those who come.
    if (this.#releases.length > 0) this.quota.release(this.#releases);
    if (this.#requests.length > 0) this.quota.admit(this.#requests);
    this.#releases = [];
    this.#requests = [];
  }
}
