/** Asks whether a client may come in, many questions in one message. */

type Answer = (granted: boolean) => void;

interface Question {
  readonly address: string;
  readonly answer: Answer;
  /** Unix ms. */
  readonly until: number;
  refused: boolean;
}

/** The desk that keeps the count: main over IPC, or a ledger in this process. */
export interface AdmissionDesk {
  admit(requests: readonly (readonly [id: number, address: string])[]): void;
  release(addresses: readonly string[]): void;
}

/** Questions unanswered at the most: above it a client is refused unasked. */
const MAX_WAITING = 4096;
const ANSWER_TIMEOUT_MS = 5000;

export class Admission {
  readonly #waiting = new Map<number, Question>();
  #requests: [number, string][] = [];
  #releases: string[] = [];
  #scheduled = false;
  #lastId = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(private readonly desk: AdmissionDesk) {
    this.#timer = setInterval(() => this.#expire(), 1000);
    this.#timer.unref();
  }

  /** Calls `answer` once, later. What was granted must be given back with `release`. */
  ask(address: string, answer: Answer): void {
    if (this.#waiting.size >= MAX_WAITING) {
      answer(false);
      return;
    }
    const id = ++this.#lastId;
    this.#waiting.set(id, { address, answer, until: Date.now() + ANSWER_TIMEOUT_MS, refused: false });
    this.#requests.push([id, address]);
    this.#schedule();
  }

  release(address: string): void {
    this.#releases.push(address);
    this.#schedule();
  }

  /** The desk's answers. */
  answered(answers: readonly (readonly [id: number, granted: boolean])[]): void {
    for (const [id, granted] of answers) {
      const question = this.#waiting.get(id);
      if (question === undefined) continue;
      this.#waiting.delete(id);
      if (!question.refused) question.answer(granted);
      else if (granted) this.release(question.address);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#flush();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    // Releases first: those who leave make room for those who come.
    if (this.#releases.length > 0) this.desk.release(this.#releases);
    if (this.#requests.length > 0) this.desk.admit(this.#requests);
    this.#releases = [];
    this.#requests = [];
  }

  /** Refuses what was asked too long ago; it stays until the desk answers, for then it must be given back. */
  #expire(): void {
    const now = Date.now();
    for (const question of this.#waiting.values()) {
      if (question.until > now) break;
      if (question.refused) continue;
      question.refused = true;
      question.answer(false);
    }
  }
}
