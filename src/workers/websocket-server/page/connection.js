/**
 * The feed, followed for as long as the page is there: a connection that is lost is made anew and goes on where the feed was. A server that froze, or a way to
 * it that broke, closes nothing: the library gives up what is silent for longer than a living feed can be, and here it is given up sooner where the node
 * answers nothing else either.
 */

import { tokenProblem } from './access.js';
import { feed } from './feed-library.js';

/** The server says something every 30 s. */
const SILENCE_MS = 45_000;
/** The same where the node left a question unanswered since the feed's last word. */
const DOUBTED_MS = 15_000;
const LAST_RETRY_MS = 8000;
/** For want of a token: somebody gives one, or the operator takes the one there is after all. */
const NO_TOKEN_RETRY_MS = 60_000;

export class Connection {
  /** Whether frames come. */
  live = false;
  /** When the last word came, or the feed was opened; undefined before the first. */
  heard;
  /** Whether there is no answer yet, at first or since another token was given. */
  asking = true;
  /** Why the server gives this page no feed; undefined where it does. */
  refused;
  /** Code of what is amiss with the token; undefined where nothing is known to be. */
  problem;
  /** The kinds that were to be had last; undefined: all. */
  kinds;
  #handlers;
  #token;
  #running;
  #cursor;
  /** On the clock of `performance.now()`: the last word, and when it is tried again. */
  #since = 0;
  #retryAt;
  #doubted = false;

  /**
   * `token`: what the tab gives. `handlers`: `opened(node)`, with the newest status of the node itself where there is one; `frame(message, text)`; `notice(event)`
   * of what is missing or went on otherwise; and `lost()`, which is called once for each loss, also of what never opened.
   */
  constructor(token, handlers) {
    this.#token = token;
    this.#handlers = handlers;
  }

  /** There is another token, or none any more. */
  askAnew() {
    this.asking = true;
    this.refused = undefined;
    this.problem = undefined;
    this.open();
  }

  /** Opens the feed, anew where it is open: it goes on where it was. */
  open() {
    this.#running?.abort();
    this.#running = new AbortController();
    this.#retryAt = undefined;
    this.live = false;
    void this.#follow(this.#running.signal);
  }

  /** Called every second: gives up what has been silent for too long. */
  check() {
    if (!this.live || !this.#doubted || performance.now() - this.#since < DOUBTED_MS) return;
    this.open();
    this.#handlers.lost();
  }

  /** The node answered nothing else either. */
  doubt() {
    this.#doubted = true;
  }

  /** There may be a way again, or somebody looks again: what waits for its turn is tried now. */
  hurry() {
    if (this.#retryAt !== undefined) this.open();
  }

  /** Seconds until it is tried again; 0 while it is being tried. */
  get retrySeconds() {
    return this.#retryAt === undefined
      ? 0
      : Math.max(1, Math.round((this.#retryAt - performance.now()) / 1000));
  }

  async #follow(signal) {
    try {
      const events = feed({
        url: new URL('p2p-ws', location.href).href,
        cursor: {
          load: () => this.#cursor,
          save: (cursor) => {
            this.#cursor = cursor;
          },
        },
        ...(this.#token.value === undefined ? {} : { token: this.#token.value }),
        json: true,
        signal,
        silenceMs: SILENCE_MS,
        retryMs: LAST_RETRY_MS,
        onOpen: (opening) => this.#opened(opening),
        onFailure: ({ problem, retryInMs }) => {
          this.refused = undefined;
          this.problem = tokenProblem({ code: problem });
          this.#lose(retryInMs);
        },
      });
      for await (const event of events) {
        this.#word();
        if ('json' in event) this.#handlers.frame(event, event.json);
        else this.#handlers.notice(event);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.code === 'not_allowed' && this.#cursor !== undefined) {
        // As is a token without a history: it goes on from now.
        this.#cursor = undefined;
        this.#handlers.notice({
          type: 'gap',
          text: 'what was announced meanwhile is not to be had with this token',
        });
        this.open();
        return;
      }
      this.refused = error.message;
      this.problem = tokenProblem({ code: error.code, parameter: error.detail?.parameter });
      const retryInMs = this.problem === undefined ? LAST_RETRY_MS : NO_TOKEN_RETRY_MS;
      this.#lose(retryInMs);
      setTimeout(() => {
        if (!signal.aborted) this.open();
      }, retryInMs);
    }
  }

  #opened({ node, kinds }) {
    this.live = true;
    this.asking = false;
    this.refused = undefined;
    this.problem = undefined;
    this.kinds = kinds;
    this.#retryAt = undefined;
    this.#word();
    this.#handlers.opened(node);
  }

  #word() {
    this.#since = performance.now();
    this.#doubted = false;
    // biome-ignore lint/plugin: the time of day is what the page shows.
    this.heard = new Date();
  }

  #lose(retryInMs) {
    this.live = false;
    this.asking = false;
    this.#retryAt = performance.now() + retryInMs;
    this.#handlers.lost();
    // From then on it is being tried.
    setTimeout(() => {
      if (!this.live && this.#retryAt <= performance.now()) this.#retryAt = undefined;
    }, retryInMs);
  }
}
