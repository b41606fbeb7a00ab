/**
 * What was heard and waits for a checker. A lane for each propagation source and kind, and another for what the source passes on
 * of strangers; a batch takes from the lanes in turn, so that a flood of one lane delays that lane alone. Past the bound the source
 * with the most bytes loses the oldest of its lowest-priority kind, strangers' first.
 *
 * A turn is a time, not a message: where a source's messages lately took longer to check than a turn, a lane of it lets others go first
 * until its own turns have saved up for one. Who is alone waits for nobody.
 *
 * An originator's messages of one kind keep their order although they may come by several sources: while one of them waits
 * in a lane, the next join it there. Where the next come by a source of which less waits, those that wait go over to it: who
 * floods and passes on one message first would else hold up, and have shed, all that follow it. Within a batch everything is
 * in the order of arrival.
 */

import { LRUCache } from 'lru-cache';
import type { RawMessage } from '../../shared/pipeline/types.js';

export interface QueuedMessage extends RawMessage {
  /** GossipSub's message id; empty for our own. */
  readonly id: string;
  /** When it came (monotonic), for the metrics. */
  readonly queuedAt?: number;
}

export interface QueueOptions {
  /** Bytes of data that wait at the most. */
  readonly maxBytes: number;
  /** Messages in a batch at the most. */
  readonly batchMessages: number;
  /** Bytes of data in a batch at the most; one message may be larger. */
  readonly batchBytes: number;
  /** µs that a batch may take to check, by what its sources' messages lately took; one message may take longer. */
  readonly batchMicros: number;
  /** Shed order of a kind: the lowest goes first. */
  readonly priorityOf: (kind: number) => number;
}

/** A message, linked to its neighbours in its lane and to the next of its originator's. */
interface Waiting {
  readonly message: QueuedMessage;
  readonly arrival: number;
  readonly line: Line;
  before: Waiting | undefined;
  after: Waiting | undefined;
  nextOfLine: Waiting | undefined;
}

/** First in, first out, but that those in the middle may leave too. */
class Fifo {
  #first: Waiting | undefined;
  #last: Waiting | undefined;

  get first(): Waiting | undefined {
    return this.#first;
  }

  push(item: Waiting): void {
    item.before = this.#last;
    if (this.#last === undefined) this.#first = item;
    else this.#last.after = item;
    this.#last = item;
  }

  remove(item: Waiting): void {
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

interface Lane {
  readonly key: string;
  readonly source: string;
  readonly share: Share;
  readonly kind: number;
  /** Of authors who were strangers when they were heard. */
  readonly strangers: boolean;
  readonly waiting: Fifo;
  /** µs that its turns have given it and that it has not used. Shared by a source's lanes, the same one could spend them every time. */
  saved: number;
}

/** What waits of an originator's messages of a kind, in the order of arrival, all of it in one lane. */
interface Line {
  readonly key: string;
  lane: Lane;
  first: Waiting | undefined;
  last: Waiting | undefined;
  count: number;
  bytes: number;
}

/**
 * By how much the priority of what is no stranger's is higher: strangers' blocks go before such a peer's subtrees, and after its
 * statuses.
 */
const NO_STRANGER = 2;

/** Messages that go over to another lane together at the most: a push must not cost more with what waits. */
const MAX_MOVED = 256;

/** µs of checking that a turn gives: some ten times what a good message takes. */
const TURN_MICROS = 250;
/** Turns that a message waits at the most: looking for the next one must not take long where all are that slow. */
const TURNS_MAX = 20;
/** What one more message counts in the average. */
const PACE_SHARE = 1 / 8;
/** Sources whose pace is remembered. */
const MAX_PACES = 10_000;

/** Gives a lane its turn; answers whether that suffices for a message. */
function affords(lane: Lane): boolean {
  const price = Math.min(lane.share.pace.micros, TURN_MICROS * TURNS_MAX);
  lane.saved = Math.min(lane.saved + TURN_MICROS, Math.max(price, TURN_MICROS));
  if (lane.saved < price) return false;
  lane.saved -= price;
  return true;
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
  readonly #lines = new Map<string, Line>();
  readonly #shares = new Map<string, Share>();
  readonly #paces = new LRUCache<string, Pace>({ max: MAX_PACES });
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
    const key = `${message.kind} ${message.author}`;
    let line = this.#lines.get(key);
    if (line === undefined) {
      const lane = this.#lane(message.source, message.kind, message.standing === 'stranger');
      line = { key, lane, first: undefined, last: undefined, count: 0, bytes: 0 };
      this.#lines.set(key, line);
    } else if (line.lane.source !== message.source) this.#relieve(line, message.source);
    this.#append(line, message);
    const shed: QueuedMessage[] = [];
    while (this.#bytes > this.#options.maxBytes && this.#length > 0) {
      const gone = this.#shed();
      if (gone === undefined) break;
      shed.push(gone);
    }
    return shed;
  }

  /** Tells that the check of a message of `source` took `micros` µs. */
  charge(source: string, micros: number): void {
    const pace = this.#pace(source);
    pace.micros += (micros - pace.micros) * PACE_SHARE;
  }

  /** The next batch, in order of arrival; empty when nothing waits. */
  take(): QueuedMessage[] {
    const batch: Waiting[] = [];
    let bytes = 0;
    let micros = 0;
    while (batch.length < this.#options.batchMessages) {
      const next = this.#lanes.values().next();
      if (next.done === true) break;
      const lane = next.value;
      const size = lane.waiting.first?.message.data.length ?? 0;
      const { pace } = lane.share;
      const { batchBytes, batchMicros } = this.#options;
      if (batch.length > 0 && (bytes + size > batchBytes || micros + pace.micros > batchMicros)) break;
      const item = affords(lane) ? this.#takeFrom(lane) : undefined;
      if (lane.waiting.first !== undefined) {
        this.#lanes.delete(lane.key);
        this.#lanes.set(lane.key, lane);
      }
      if (item === undefined) continue;
      bytes += size;
      micros += pace.micros;
      batch.push(item);
    }
    batch.sort((a, b) => a.arrival - b.arrival);
    return batch.map(({ message }) => message);
  }

  #lane(source: string, kind: number, strangers: boolean): Lane {
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

  #append(line: Line, message: QueuedMessage): void {
    const item: Waiting = {
      message,
      arrival: this.#arrivals++,
      line,
      before: undefined,
      after: undefined,
      nextOfLine: undefined,
    };
    if (line.last === undefined) line.first = item;
    else line.last.nextOfLine = item;
    line.last = item;
    line.count += 1;
    line.bytes += bytesOf(message);
    line.lane.waiting.push(item);
    this.#length += 1;
    this.#account(line.lane, bytesOf(message));
  }

  /** Has the line go over to the lane of `source` where less waits of that. */
  #relieve(line: Line, source: string): void {
    const { lane: from, bytes } = line;
    const load = this.#shares.get(source)?.bytes ?? 0;
    if (line.count > MAX_MOVED || load >= from.share.bytes - bytes) return;
    const to = this.#lane(source, from.kind, from.strangers);
    line.lane = to;
    for (let item = line.first; item !== undefined; item = item.nextOfLine) {
      from.waiting.remove(item);
      to.waiting.push(item);
    }
    this.#account(to, bytes);
    this.#account(from, -bytes);
    if (from.waiting.first === undefined) this.#lanes.delete(from.key);
  }

  /** The oldest of a lane. */
  #takeFrom(lane: Lane): Waiting | undefined {
    const item = lane.waiting.first;
    if (item === undefined) return undefined;
    lane.waiting.remove(item);
    if (lane.waiting.first === undefined) this.#lanes.delete(lane.key);
    const { line, message } = item;
    const bytes = bytesOf(message);
    // Whatever lane it is in, the first there of an originator is the first that waits of it.
    line.first = item.nextOfLine;
    line.count -= 1;
    line.bytes -= bytes;
    if (line.first === undefined) this.#lines.delete(line.key);
    this.#length -= 1;
    this.#account(lane, -bytes);
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
    let found: Lane | undefined;
    for (const lane of this.#lanes.values()) {
      if (lane.source !== heaviest) continue;
      if (found === undefined || this.#priority(lane) < this.#priority(found)) found = lane;
    }
    return found === undefined ? undefined : this.#takeFrom(found)?.message;
  }

  #priority(lane: Lane): number {
    return this.#options.priorityOf(lane.kind) + (lane.strangers ? 0 : NO_STRANGER);
  }
}
