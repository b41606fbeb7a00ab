/** What was told lately, so that it is not told again by another server, whose cursors are others. */

/** Milliseconds, by the time at which servers received it, that a frame is remembered. */
const WINDOW_MS = 180_000;
/** Frames that are remembered at the most: the window's at some 500 a second. */
const MOST = 100_000;

interface Announced {
  readonly type: string;
  readonly peer_id?: unknown;
  readonly hash?: unknown;
  readonly base_url?: unknown;
}

export class Repeats {
  /** When each was received (unix ms), the oldest first. */
  readonly #known = new Map<string, number>();
  #until = Number.NEGATIVE_INFINITY;

  /** From now on frames that were received until `time` (unix ms) may be repeats of what is remembered. */
  expectUntil(time: number): void {
    this.#until = Math.max(this.#until, time);
  }

  /** Whether this is a repeat where they are to be expected; remembers it. `json`: of the whole frame. */
  has(frame: Announced, json: string, receivedAt: number): boolean {
    const key = keyOf(frame, json);
    const repeated = receivedAt <= this.#until && this.#known.has(key);
    if (repeated) return true;
    this.#known.set(key, receivedAt);
    for (const [oldest, at] of this.#known) {
      if (this.#known.size <= MOST && at >= receivedAt - WINDOW_MS) break;
      this.#known.delete(oldest);
    }
    return false;
  }
}

/** The same announcement is the same kind, author, hash and URL; what has no hash is the same word for word but for when it was received. */
function keyOf({ type, peer_id, hash, base_url }: Announced, json: string): string {
  if (typeof hash === 'string' && hash !== '') return `${type} ${peer_id} ${hash} ${base_url ?? ''}`;
  const meta = json.lastIndexOf(',"cursor":"');
  const own = (meta < 0 ? json : json.slice(0, meta)).replace(/"timestamp":"[^"]*",?/, '');
  return `${type} ${peer_id} ${digest(own)}`;
}

/** 64 bits of a long text: FNV-1a, twice. */
function digest(text: string): string {
  let [one, two] = [0x811c9dc5, 0x1b873593];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    one = Math.imul(one ^ code, 0x01000193);
    two = Math.imul(two ^ (code + index), 0x01000193);
  }
  return `${(one >>> 0).toString(36)}${(two >>> 0).toString(36)}`;
}
