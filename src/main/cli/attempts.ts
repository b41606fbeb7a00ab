/** What a server's log says of its attempts to reach the peers that it is told to call. */

import { type FeedFrame, field } from './frame-line.js';

/** Of the log, by message. */
const FAILED: Readonly<Record<string, string>> = {
  'peer address does not resolve': 'does not resolve',
  'configured peer cannot be reached': 'cannot be reached',
};
const SUCCEEDED = ['peer address resolves again', 'connected to configured peer'];
/** Who dials says what failed at each address; a line of it is enough to know why. */
const MOST_CHARACTERS = 400;

export class Attempts {
  readonly #called: readonly string[];
  readonly #faults = new Map<string, string>();

  /** `called`: the addresses that are configured. */
  constructor(called: readonly string[]) {
    this.#called = called;
  }

  /** Takes a line of the log. Returns whether it was one of these. */
  hear(entry: FeedFrame): boolean {
    const message = field(entry, 'msg');
    const whom = this.#nameOf(field(entry, 'address') || field(entry, 'peer'));
    const fault = FAILED[message];
    if (fault !== undefined) {
      this.#faults.set(whom, `${fault}: ${field(entry, 'error').slice(0, MOST_CHARACTERS)}`);
      return true;
    }
    if (!SUCCEEDED.includes(message)) return false;
    this.#faults.delete(whom);
    return true;
  }

  /** One line for each that was tried. */
  lines(): string[] {
    const silent = this.#called.filter((address) => !this.#faults.has(address));
    return [
      ...[...this.#faults].map(([whom, fault]) => `${whom} ${fault}`),
      ...silent.map((address) => `${address} has not answered yet`),
    ];
  }

  /** The address that was configured, of a peer that is known by its ID. */
  #nameOf(whom: string): string {
    return this.#called.find((address) => address.endsWith(`/p2p/${whom}`)) ?? whom;
  }
}
