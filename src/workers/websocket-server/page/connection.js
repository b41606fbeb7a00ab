/**
 * The feed's WebSocket, opened again for as long as the page is there. A server that froze, or a way to it that broke, closes nothing: the feed
 * is lost as soon as it is silent for longer than a living one can be.
 */

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 8000;
/** A frozen machine still takes connections, and never answers on them. */
const OPENING_MS = 10_000;
/** The server says PING every 10 s. */
const SILENCE_MS = 15_000;
/** Where it was told not to, a quiet network is silent too: opening anew shows whether anybody is there. */
const UNPINGED_SILENCE_MS = 60_000;

export class Connection {
  /** Whether frames come. */
  live = false;
  /** When the last word came, or the feed was opened; undefined before the first. */
  heard;
  /** Whether the server says PING. */
  pings = true;
  #handlers;
  #socket;
  /** On the clock of `performance.now()`: when it was begun to open, and the last word. */
  #since = 0;
  #retryMs = FIRST_RETRY_MS;
  #retry;
  #retryAt = 0;

  /** `handlers`: `opened()`, `frame(text)`, and `lost()`, which is called once for each loss, also of what never opened. */
  constructor(handlers) {
    this.#handlers = handlers;
  }

  open() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const url = new URL('p2p-ws', location.href);
    url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url);
    this.#socket = socket;
    this.#since = performance.now();
    const ours = (handle) => (event) => {
      if (socket === this.#socket) handle(event);
    };
    socket.addEventListener(
      'open',
      ours(() => {
        this.live = true;
        this.#retryMs = FIRST_RETRY_MS;
        this.#word();
        this.#handlers.opened();
      }),
    );
    socket.addEventListener(
      'message',
      ours((event) => {
        this.#word();
        this.#handlers.frame(event.data);
      }),
    );
    socket.addEventListener(
      'close',
      ours(() => this.#lose()),
    );
  }

  /** Called every second: gives up what has been silent for too long. */
  check() {
    if (this.#socket === undefined) return;
    const bound = this.live ? (this.pings ? SILENCE_MS : UNPINGED_SILENCE_MS) : OPENING_MS;
    if (performance.now() - this.#since > bound) this.#lose();
  }

  /** There may be a way again, or somebody looks again: what waits for its turn is tried now. */
  hurry() {
    if (this.#retry !== undefined) this.open();
  }

  /** Seconds until it is tried again; 0 while it is being tried. */
  get retrySeconds() {
    return this.#retry === undefined
      ? 0
      : Math.max(1, Math.round((this.#retryAt - performance.now()) / 1000));
  }

  #word() {
    this.#since = performance.now();
    // biome-ignore lint/plugin: the time of day is what the page shows.
    this.heard = new Date();
  }

  #lose() {
    // Closing what does not answer takes a minute: nobody waits for it.
    this.#socket.close();
    this.#socket = undefined;
    this.live = false;
    const delay = this.#retryMs * (0.75 + Math.random() / 2);
    this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    this.#retryAt = performance.now() + delay;
    this.#retry = setTimeout(() => this.open(), delay);
    this.#handlers.lost();
  }
}
