/** Which frames came in which form, each held to what the server publishes of its frames. */

import type { FrameValidator } from './frame-validator.js';

/** A way in which frames are sent, such as one to a WebSocket message, or many of them compressed. */
export interface FrameForm {
  readonly name: string;
  /** Whether frames may come in it, by how the document calls them: `block`, `block_meta`, `hello`. */
  readonly may: (message: string) => boolean;
}

/** Frames kept of what is wrong. */
const FAULTS = 5;

export class FrameLedger {
  /** What is wrong: the first few, each with its frame. */
  readonly faults: string[] = [];
  /** By form, then by message; of an `info` and an `error` with its code. */
  readonly #seen = new Map<string, Map<string, number>>();

  /** Takes down a frame, and whatever is wrong with it. `where`: who sent it, for whoever looks for the cause. Gives its message. */
  take(
    form: FrameForm,
    text: string,
    { validate, where }: { validate: FrameValidator; where: string },
  ): string {
    const { message, faults } = validate(text);
    const wrong = form.may(message) ? faults : [...faults, `no ${message} belongs there`];
    if (wrong.length > 0) this.fault(`${where}, ${form.name}: ${text}: ${wrong.join('; ')}`);
    const { code } = JSON.parse(text) as { readonly code?: string };
    const told = code === undefined ? message : `${message} ${code}`;
    const seen = this.#seen.get(form.name) ?? new Map<string, number>();
    this.#seen.set(form.name, seen.set(told, (seen.get(told) ?? 0) + 1));
    return told;
  }

  fault(what: string): void {
    if (this.faults.length < FAULTS) this.faults.push(what);
  }

  count(form: string, message: string): number {
    return this.#seen.get(form)?.get(message) ?? 0;
  }

  /** By form, then by message. */
  get seen(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return this.#seen;
  }
}

/** What all of them have seen: a line a form, with how many of which. */
export function ledgerLines(ledgers: readonly FrameLedger[]): string[] {
  const sums = new Map<string, Map<string, number>>();
  for (const [form, seen] of ledgers.flatMap((ledger) => [...ledger.seen])) {
    const sum = sums.get(form) ?? new Map<string, number>();
    sums.set(form, sum);
    for (const [message, count] of seen) sum.set(message, (sum.get(message) ?? 0) + count);
  }
  return [...sums].map(([form, sum]) => {
    const counts = [...sum].sort(([a], [b]) => (a < b ? -1 : 1));
    return `${form}: ${counts.map(([message, count]) => `${message} ${count}`).join(', ')}`;
  });
}

/** How many frames they have seen. */
export const framesSeen = (ledgers: readonly FrameLedger[]): number =>
  ledgers
    .flatMap(({ seen }) => [...seen.values()])
    .reduce((sum, counts) => [...counts.values()].reduce((more, count) => more + count, sum), 0);
