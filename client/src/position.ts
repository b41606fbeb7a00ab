/** Where a feed is, and how it asks to go on from there. */

/** To be on the safe side of another server's clock, milliseconds. */
export const OVERLAP_MS = 60_000;

/** Separates a cursor from the time that is kept beside it; no cursor has it. */
const SEPARATOR = '~';

export class Position {
  /** A server's own word; undefined where it begins by time, or at now. */
  #cursor: string | undefined;
  /** With which it began. */
  readonly #kept: string | undefined;
  /** When the last frame was received, unix ms: what another server can be asked by. */
  #receivedAt: number | undefined;
  /** Where it begins without a cursor, as the server takes it. */
  #since: string | undefined;

  /** `kept`: as `text` gave it, or a server's cursor, `oldest` or `now`; `since`: RFC 3339 or unix ms, for where there is no cursor or none that a server knows. */
  constructor(kept: string | undefined, since: string | undefined) {
    const [cursor = '', time = ''] = (kept ?? '').split(SEPARATOR);
    this.#cursor = cursor === '' ? undefined : cursor;
    this.#kept = this.#cursor;
    this.#receivedAt = Number.isNaN(Date.parse(time)) ? undefined : Date.parse(time);
    this.#since = since;
  }

  /** The parameter that asks for what follows; undefined: for what comes from now on. */
  get parameter(): readonly ['cursor' | 'since', string] | undefined {
    if (this.#cursor !== undefined) return ['cursor', this.#cursor];
    return this.#since === undefined ? undefined : ['since', this.#since];
  }

  /** For a store: `kept` of a later run; undefined while nothing is known. */
  get text(): string | undefined {
    if (this.#cursor === undefined) return undefined;
    const at = this.#receivedAt;
    return at === undefined ? this.#cursor : `${this.#cursor}${SEPARATOR}${new Date(at).toISOString()}`;
  }

  /** Whether it is where it began, behind a cursor. */
  get isAsKept(): boolean {
    return this.#cursor !== undefined && this.#cursor === this.#kept;
  }

  /** When the last frame was received, unix ms; undefined before the first. */
  get receivedAt(): number | undefined {
    return this.#receivedAt;
  }

  /** All up to `cursor` is done; `receivedAt` (unix ms) of the frame, where it was one. */
  advance(cursor: string, receivedAt = this.#receivedAt): void {
    this.#cursor = cursor;
    this.#receivedAt = receivedAt;
  }

  /** A server does not know the cursor. Returns whether it can be asked by time instead; if not, all is as before. */
  goByTime(): boolean {
    if (this.#cursor === undefined) return false;
    if (this.#receivedAt !== undefined) this.#since = new Date(this.#receivedAt - OVERLAP_MS).toISOString();
    if (this.#since === undefined) return false;
    this.#cursor = undefined;
    return true;
  }

  /** Nothing from before is to be had: it begins at now. Returns whether it would have begun before. */
  goFromNow(): boolean {
    if (this.parameter === undefined) return false;
    this.#cursor = undefined;
    this.#since = undefined;
    return true;
  }

  /** Where it is asked by time: that time. */
  get since(): string | undefined {
    return this.#cursor === undefined ? this.#since : undefined;
  }
}
