/**
 * What was heard and waits for a checker. A lane for each propagation source and kind; a batch takes from the lanes in turn, so
 * that a flood of one lane delays that lane alone. Past the bound the source with the most bytes loses the oldest of its
 * lowest-priority kind.
 *
 * An originator's messages of one kind keep their order although they may come by several sources: while one of them waits
 * in a lane, the next join it there. Within a batch everything is in the order of arrival.
 */

import type { RawMessage } from '../../shared/pipeline/types.js';

export interface QueuedMessage extends RawMessage {
  /** GossipSub's message id; empty for our own. */
  readonly id: string;
}

export interface QueueOptions {
  /** Bytes of data that wait at the most. */
  readonly maxBytes: number;
  /** Messages in a batch at the most. */
  readonly batchMessages: number;
  /** Bytes of data in a batch at the most; one message may be larger. */
  readonly batchBytes: number;
  /** Shed order of a kind: the lowest goes first. */
  readonly priorityOf: (kind: number) => number;
}

interface Waiting {
  readonly message: QueuedMessage;
  readonly arrival: number;
  readonly pin: Pin;
}

/** First in, first out, without moving what remains. */
class Fifo {
  #items: (Waiting | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): Waiting | undefined {
    return this.#items[this.#head];
  }

  push(item: Waiting): void {
    this.#items.push(item);
  }

  shift(): Waiting | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}

/** What waits of one source, in all its lanes. */
interface Share {
  bytes: number;
}

interface Lane {
  readonly source: string;
  readonly share: Share;
  readonly kind: number;
  readonly waiting: Fifo;
}

/** Where an originator's messages of a kind wait, and how many. */
interface Pin {
  readonly key: string;
  readonly lane: Lane;
  count: number;
}

/** Small objects beside the data count too, or a flood of empty messages would be free. */
const OVERHEAD_BYTES = 512;

function bytesOf(message: QueuedMessage): number {
  return message.data.length + OVERHEAD_BYTES;
}

export class FairQueue {
  readonly #options: QueueOptions;
  /** Lanes with something in them, in the order of their next turn. */
  readonly #lanes = new Map<string, Lane>();
  readonly #pins = new Map<string, Pin>();
  readonly #shares = new Map<string, Share>();
  #arrivals = 0;
  #bytes = 0;
  #length = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes that wait, each message with 512 besides its data. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a message; answers what had to go for it, possibly itself. */
  push(message: QueuedMessage): QueuedMessage[] {
    const pinKey = `${message.kind} ${message.author}`;
    let pin = this.#pins.get(pinKey);
    if (pin === undefined) {
      pin = { key: pinKey, lane: this.#lane(message.source, message.kind), count: 0 };
      this.#pins.set(pinKey, pin);
    }
    pin.count += 1;
    pin.lane.waiting.push({ message, arrival: this.#arrivals++, pin });
    this.#length += 1;
    this.#account(pin.lane, bytesOf(message));
    const shed: QueuedMessage[] = [];
    while (this.#bytes > this.#options.maxBytes && this.#length > 0) {
      const gone = this.#shed();
      if (gone === undefined) break;
      shed.push(gone);
    }
    return shed;
  }

  /** The next batch, in order of arrival; empty when nothing waits. */
  take(): QueuedMessage[] {
    const batch: Waiting[] = [];
    let bytes = 0;
    while (batch.length < this.#options.batchMessages) {
      const next = this.#lanes.entries().next();
      if (next.done === true) break;
      const [key, lane] = next.value;
      const size = lane.waiting.first?.message.data.length ?? 0;
      if (batch.length > 0 && bytes + size > this.#options.batchBytes) break;
      const item = this.#takeFrom(key, lane);
      if (item === undefined) continue;
      if (lane.waiting.length > 0) {
        this.#lanes.delete(key);
        this.#lanes.set(key, lane);
      }
      bytes += size;
      batch.push(item);
    }
    batch.sort((a, b) => a.arrival - b.arrival);
    return batch.map(({ message }) => message);
  }

  #lane(source: string, kind: number): Lane {
    const key = `${kind} ${source}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      let share = this.#shares.get(source);
      if (share === undefined) {
        share = { bytes: 0 };
        this.#shares.set(source, share);
      }
      lane = { source, share, kind, waiting: new Fifo() };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #takeFrom(key: string, lane: Lane): Waiting | undefined {
    const item = lane.waiting.shift();
    if (lane.waiting.length === 0) this.#lanes.delete(key);
    if (item === undefined) return undefined;
    this.#length -= 1;
    this.#account(lane, -bytesOf(item.message));
    if (--item.pin.count === 0) this.#pins.delete(item.pin.key);
    return item;
  }

  #account({ source, share }: Lane, bytes: number): void {
    this.#bytes += bytes;
    share.bytes += bytes;
    if (share.bytes === 0) this.#shares.delete(source);
  }

  #shed(): QueuedMessage | undefined {
    let heaviest = '';
    let most = -1;
    for (const [source, { bytes }] of this.#shares) {
      if (bytes > most) [heaviest, most] = [source, bytes];
    }
    let found: [string, Lane] | undefined;
    for (const entry of this.#lanes) {
      if (entry[1].source !== heaviest) continue;
      if (found === undefined || this.#priority(entry[1]) < this.#priority(found[1])) found = entry;
    }
    return found === undefined ? undefined : this.#takeFrom(found[0], found[1])?.message;
  }

  #priority(lane: Lane): number {
    return this.#options.priorityOf(lane.kind);
  }
}
