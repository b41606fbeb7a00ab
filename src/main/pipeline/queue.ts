/**
 * What was heard and waits for a checker. A lane for each propagation source and kind, and another for what the source passes on
 * of strangers; a batch takes from the lanes in turn, so that a flood of one lane delays that lane alone. Past the bound the source
 * with the most bytes loses the oldest of its lowest-priority kind, strangers' first.
 *
 * A turn is a time, not a message: where a source's messages lately took longer to check than a turn, a lane of it lets others go first
 * until its own turns have saved up for one. Who is alone waits for nobody.
 *
 * Nobody has looked at a signature yet, so the author is a claim: it may order messages, but never put one that a source sent
 * into the lane of another, at the other's expense. Of what bears one author's name and kind the earliest goes first: a lane's turn
 * takes what waits elsewhere before its own, paid by the lanes where that waits. There are bounds to it: whoever forges names in
 * bulk loses the order, and gains no turns. A message that has come from two sources waits with the one that has less waiting: who
 * floods and passes it on first neither holds it up nor has it shed. Within a batch everything is in the order of arrival.
 */

import { LRUCache } from 'lru-cache';
import type { RawMessage } from '../../shared/pipeline/types.js';

export interface QueuedMessage extends RawMessage {
  /** Base58 peer ID of the neighbour that sent it here: the propagation source. */
  readonly source: string;
  /** The queue's own: where it waits, while it does. */
  place?: object | undefined;
  /** When it came (monotonic), for the metrics. */
  readonly queuedAt?: number;
}

export interface QueueOptions {
  /** Bytes that wait at the most. */
  readonly maxBytes: number;
  /** Messages in a batch at the most. */
  readonly batchMessages: number;
  /** Bytes in a batch at the most; one message may be larger. */
  readonly batchBytes: number;
  /** µs that a batch may take to check, by what its sources' messages lately took; one message may take longer. */
  readonly batchMicros: number;
  /** Shed order of a kind: the lowest goes first. */
  readonly priorityOf: (kind: number) => number;
}

/** A message, linked to its neighbours in its lane and in its line. */
interface Waiting<M> {
  readonly message: M;
  readonly arrival: number;
  /** µs that the check of one like it took when it came. */
  readonly micros: number;
  readonly line: Line<M>;
  lane: Lane<M>;
  before: Waiting<M> | undefined;
  after: Waiting<M> | undefined;
  beforeInLine: Waiting<M> | undefined;
  afterInLine: Waiting<M> | undefined;
}

/** First in, first out, but that those in the middle may leave too. */
class Fifo<M> {
  #first: Waiting<M> | undefined;
  #last: Waiting<M> | undefined;

  get first(): Waiting<M> | undefined {
    return this.#first;
  }

  push(item: Waiting<M>): void {
    item.before = this.#last;
    if (this.#last === undefined) this.#first = item;
    else this.#last.after = item;
    this.#last = item;
  }

  remove(item: Waiting<M>): void {
    const { before, after } = item;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    item.before = undefined;
    item.after = undefined;
  }
}

/** What the messages of a source cost, remembered beyond what waits. */
interface Pace {
  /** µs that the check of one lately took, on average. */
  micros: number;
}

/** What waits of one source, in all its lanes. */
interface Share {
  readonly pace: Pace;
  bytes: number;
}

interface Lane<M> {
  readonly key: string;
  readonly source: string;
  readonly share: Share;
  readonly kind: number;
  /** Of authors who were strangers when they were heard. */
  readonly strangers: boolean;
  readonly waiting: Fifo<M>;
  /** µs that its turns have given it and that it has not used. Shared by a source's lanes, the same one could spend them every time. */
  saved: number;
}

/** What waits of one author's messages of a kind, in the order of arrival, whatever the lane. */
interface Line<M> {
  readonly key: string;
  first: Waiting<M> | undefined;
  last: Waiting<M> | undefined;
}

/**
 * By how much the priority of what is no stranger's is higher: strangers' blocks go before such a peer's subtrees, and after its
 * statuses.
 */
const NO_STRANGER = 2;

/** Messages of its line that a turn takes from other lanes at the most. Where more wait there, it goes without them. */
const MAX_EARLIER = 64;

/** µs of checking that a turn gives: some ten times what a good message takes. */
const TURN_MICROS = 250;
/** Turns that a message waits at the most: looking for the next one must not take long where all are that slow. */
const TURNS_MAX = 20;
/** µs of turns to come that a lane can have spent beforehand, by what others' turns took from it. */
const MAX_DEBT = 4 * TURN_MICROS * TURNS_MAX;
/** What one more message counts in the average. */
const PACE_SHARE = 1 / 8;
/** Sources whose pace is remembered. */
const MAX_PACES = 10_000;

function priceOf({ share }: Lane<unknown>): number {
  return Math.min(share.pace.micros, TURN_MICROS * TURNS_MAX);
}

/** Gives a lane its turn; answers whether that suffices for a message. */
function affords(lane: Lane<unknown>): boolean {
  const price = priceOf(lane);
  lane.saved = Math.min(lane.saved + TURN_MICROS, Math.max(price, TURN_MICROS));
  return lane.saved >= price;
}

/** Small objects beside the data count too, or a flood of empty messages would be free. */
const OVERHEAD_BYTES = 512;

function sizeOf({ data, signed }: QueuedMessage): number {
  return (signed?.bytes ?? data).length;
}

function bytesOf(message: QueuedMessage): number {
  return sizeOf(message) + OVERHEAD_BYTES;
}

export class FairQueue<M extends QueuedMessage = QueuedMessage> {
  readonly #options: QueueOptions;
  /** Lanes with something in them, in the order of their next turn. */
  readonly #lanes = new Map<string, Lane<M>>();
  readonly #lines = new Map<string, Line<M>>();
  readonly #shares = new Map<string, Share>();
  readonly #paces = new LRUCache<string, Pace>({ max: MAX_PACES });
  #arrivals = 0;
  #bytes = 0;
  #length = 0;
  /** What it will take to check what waits, as far as could be told when it came. */
  #micros = 0;

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#length;
  }

  /** Bytes that wait, each message with 512 besides what is signed of it. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether what waits fills a batch, by one of its bounds. */
  get fillsBatch(): boolean {
    const { batchMessages, batchBytes, batchMicros } = this.#options;
    return this.#length >= batchMessages || this.#bytes >= batchBytes || this.#micros >= batchMicros;
  }

  /** Adds a message; answers what had to go for it, possibly itself. */
  push(message: M): M[] {
    this.#append(message);
    const shed: M[] = [];
    while (this.#bytes > this.#options.maxBytes && this.length > 0) {
      const gone = this.#shed();
      if (gone === undefined) break;
      shed.push(gone);
    }
    return shed;
  }

  /** `message`, where it still waits, has come from `source` too: it goes over to that one's lane if less waits there. */
  relieve(message: M, source: string): void {
    const item = message.place as Waiting<M> | undefined;
    if (item === undefined || item.lane.source === source) return;
    const { lane: from } = item;
    const bytes = bytesOf(message);
    if ((this.#shares.get(source)?.bytes ?? 0) + bytes >= from.share.bytes) return;
    this.#leave(item);
    item.lane = this.#lane(source, from.kind, from.strangers);
    item.lane.waiting.push(item);
    this.#account(item.lane, bytes);
  }

  /** Tells that the check of a message of `source` took `micros` µs. */
  charge(source: string, micros: number): void {
    const pace = this.#pace(source);
    pace.micros += (micros - pace.micros) * PACE_SHARE;
  }

  /** The next batch, in order of arrival; empty when nothing waits. */
  take(): M[] {
    const batch: Waiting<M>[] = [];
    let bytes = 0;
    let micros = 0;
    while (batch.length < this.#options.batchMessages) {
      const next = this.#lanes.values().next();
      if (next.done === true) break;
      const lane = next.value;
      const own = lane.waiting.first;
      const item = own && this.#earliest(own);
      const size = item === undefined ? 0 : sizeOf(item.message);
      const pace = item?.lane.share.pace.micros ?? 0;
      const { batchBytes, batchMicros } = this.#options;
      if (batch.length > 0 && (bytes + size > batchBytes || micros + pace > batchMicros)) break;
      // What goes before its own is paid for where it waited, with turns that are to come.
      const taken = item !== own || affords(lane) ? item : undefined;
      if (taken !== undefined) {
        taken.lane.saved = Math.max(taken.lane.saved - priceOf(taken.lane), -MAX_DEBT);
        this.#remove(taken);
        bytes += size;
        micros += pace;
        batch.push(taken);
      }
      // It keeps its turn until its own is out.
      if (lane.waiting.first === undefined || item !== own) continue;
      this.#lanes.delete(lane.key);
      this.#lanes.set(lane.key, lane);
    }
    batch.sort((a, b) => a.arrival - b.arrival);
    return batch.map(({ message }) => message);
  }

  /** What goes first of the line of `own`, itself in most cases. */
  #earliest(own: Waiting<M>): Waiting<M> {
    let earliest = own;
    for (let n = 0; earliest.beforeInLine !== undefined; n++) {
      if (n === MAX_EARLIER) return own;
      earliest = earliest.beforeInLine;
    }
    return earliest;
  }

  #lane(source: string, kind: number, strangers: boolean): Lane<M> {
    const key = `${kind} ${source}${strangers ? ' strangers' : ''}`;
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      let share = this.#shares.get(source);
      if (share === undefined) {
        share = { pace: this.#pace(source), bytes: 0 };
        this.#shares.set(source, share);
      }
      lane = { key, source, share, kind, strangers, waiting: new Fifo(), saved: 0 };
      this.#lanes.set(key, lane);
    }
    return lane;
  }

  #pace(source: string): Pace {
    let pace = this.#paces.get(source);
    if (pace === undefined) {
      pace = { micros: 0 };
      this.#paces.set(source, pace);
    }
    return pace;
  }

  #append(message: M): void {
    const key = `${message.kind} ${message.author}`;
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = { key, first: undefined, last: undefined };
      this.#lines.set(key, line);
    }
    const lane = this.#lane(message.source, message.kind, message.standing === 'stranger');
    const item: Waiting<M> = {
      message,
      arrival: this.#arrivals++,
      micros: lane.share.pace.micros,
      line,
      lane,
      before: undefined,
      after: undefined,
      beforeInLine: line.last,
      afterInLine: undefined,
    };
    if (line.last === undefined) line.first = item;
    else line.last.afterInLine = item;
    line.last = item;
    lane.waiting.push(item);
    message.place = item;
    this.#length += 1;
    this.#micros += item.micros;
    this.#account(lane, bytesOf(message));
  }

  #remove(item: Waiting<M>): void {
    const { line, message, beforeInLine, afterInLine } = item;
    this.#leave(item);
    if (beforeInLine === undefined) line.first = afterInLine;
    else beforeInLine.afterInLine = afterInLine;
    if (afterInLine === undefined) line.last = beforeInLine;
    else afterInLine.beforeInLine = beforeInLine;
    if (line.first === undefined) this.#lines.delete(line.key);
    message.place = undefined;
    this.#length -= 1;
    this.#micros = this.#length === 0 ? 0 : this.#micros - item.micros;
  }

  /** Takes it out of its lane. */
  #leave(item: Waiting<M>): void {
    const { lane } = item;
    lane.waiting.remove(item);
    if (lane.waiting.first === undefined) this.#lanes.delete(lane.key);
    this.#account(lane, -bytesOf(item.message));
  }

  #account({ source, share }: Lane<M>, bytes: number): void {
    this.#bytes += bytes;
    share.bytes += bytes;
    if (share.bytes === 0) this.#shares.delete(source);
  }

  #shed(): M | undefined {
    let heaviest = '';
    let most = -1;
    for (const [source, { bytes }] of this.#shares) {
      if (bytes > most) [heaviest, most] = [source, bytes];
    }
    let found: Lane<M> | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.source !== heaviest) continue;
      if (found === undefined || this.#priority(lane) < this.#priority(found)) found = lane;
    }
    const item = found?.waiting.first;
    if (item !== undefined) this.#remove(item);
    return item?.message;
  }

  #priority(lane: Lane<M>): number {
    return this.#options.priorityOf(lane.kind) + (lane.strangers ? 0 : NO_STRANGER);
  }
}
