/** What a process knows of itself and others as holders of `DATADIR`, whichever of them has it now. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type BackoffPolicy, backoffMs } from '../../shared/async/backoff.js';
import { monotonic } from '../../shared/clock.js';
import { JOURNAL_FORMAT } from '../../shared/journal/head.js';
import { SEGMENT_VERSION } from '../../shared/journal/layout.js';
import type { Formats, HandOverAnswer, HandOverRequest, Refusal } from '../control/hand-over.js';

/** What this release writes into `DATADIR`. */
export const FORMATS: Formats = { journal: JOURNAL_FORMAT, segments: SEGMENT_VERSION };

/** How long one that took the directory and did not keep it is made to wait before it gets it again; each time twice as long. */
const PENALTY: BackoffPolicy = { firstMs: 15_000, maxMs: 1_800_000 };
const MAX_TEXT = 256;
/** Pods remembered for it. */
const MAX_FAILED = 100;

export interface TenureOptions {
  /** `p2p_datadir_wait` in ms. */
  readonly waitMs: number;
  readonly version: string;
  /**
   * The pod this is.
   * @default found in the environment
   */
  readonly pod?: string;
  readonly formats?: Formats;
  readonly now?: () => number;
}

/** In Kubernetes a container is told so, and its host is named as its pod. */
function ownPod(): string {
  return process.env.KUBERNETES_SERVICE_HOST === undefined ? '' : hostname();
}

/** One for the life of a process, which may have the directory several times. */
export class Tenure {
  readonly waitMs: number;
  /** What this process asks with. */
  readonly request: Omit<HandOverRequest, 'confirmed'>;
  readonly #now: () => number;
  /** The pod from which the directory came. A container of it that starts again does not get it back: the two would pass it to and fro. */
  #predecessor = '';
  #heir: HandOverRequest | undefined;
  readonly #failed = new Map<string, { times: number; until: number }>();

  constructor({ waitMs, version, pod = ownPod(), formats = FORMATS, now = monotonic }: TenureOptions) {
    this.waitMs = waitMs;
    this.#now = now;
    this.request = { id: randomUUID(), name: `${hostname()}, process ${process.pid}`, pod, version, formats };
  }

  /** Who the directory goes to, or went to. */
  get heir(): HandOverRequest | undefined {
    return this.#heir;
  }

  /** Whether the sender of `request`, as it came, gets the directory: then it is the heir, once it has confirmed. `stopping`: it will be free soon whatever the answer. */
  judge(request: unknown, { stopping }: { readonly stopping: boolean }): HandOverAnswer {
    if (!isRequest(request)) throw new TypeError('not a request for the data directory');
    const { name, pod, version } = this.request;
    const refused = this.#refusalOf(request, stopping);
    if (refused !== undefined) return { granted: false, ...refused };
    if (request.confirmed) this.#heir = request;
    return { granted: true, name, pod, version };
  }

  #refusalOf(
    request: HandOverRequest,
    stopping: boolean,
  ): { readonly refusal: Refusal; readonly message: string } | undefined {
    if (this.waitMs === 0) return { refusal: 'off', message: 'its p2p_datadir_wait is 0' };
    if (this.#heir?.id === request.id) return undefined;
    if (this.#heir !== undefined)
      return { refusal: 'busy', message: `it hands over to ${shown(this.#heir.name)}` };
    if (stopping) return { refusal: 'busy', message: 'it stops' };
    for (const [what, format] of Object.entries(this.request.formats)) {
      const reads = request.formats[what] ?? 0;
      if (reads >= format) continue;
      const message = `it writes format ${format} of the ${what}, and this version reads ${reads}`;
      return { refusal: 'format', message };
    }
    if (this.#predecessor !== '' && request.pod === this.#predecessor) {
      return { refusal: 'not to you', message: 'it got it from this pod, which is to end' };
    }
    const left = (this.#failed.get(request.pod)?.until ?? 0) - this.#now();
    if (left <= 0) return undefined;
    const again = `in ${Math.ceil(left / 1000)} s again`;
    return { refusal: 'not to you', message: `it handed it over before, and it was not kept: ${again}` };
  }

  /** The directory was handed to this process by a server of `pod`. */
  took({ pod }: { readonly pod: string }): void {
    this.#predecessor = pod;
  }

  /** The directory lay free, and this process has it again: its heir did not keep it. */
  tookBack(): void {
    const pod = this.#heir?.pod ?? '';
    this.#heir = undefined;
    const times = (this.#failed.get(pod)?.times ?? 0) + 1;
    const penalty = backoffMs(PENALTY, times);
    this.#failed.delete(pod);
    this.#failed.set(pod, { times, until: this.#now() + penalty });
    for (const eldest of this.#failed.keys()) {
      if (this.#failed.size <= MAX_FAILED) break;
      this.#failed.delete(eldest);
    }
  }
}

function isRequest(value: unknown): value is HandOverRequest {
  const { id, name, pod, version, formats, confirmed } = (value ?? {}) as Partial<HandOverRequest>;
  const texts = [id, name, pod, version];
  return (
    texts.every((text) => typeof text === 'string' && text.length <= MAX_TEXT) &&
    typeof confirmed === 'boolean' &&
    typeof formats === 'object' &&
    formats !== null &&
    Object.values(formats).every((format) => Number.isSafeInteger(format))
  );
}

/** `answer` as it came from another process. Throws TypeError where it is none. */
export function checkAnswer(answer: unknown): HandOverAnswer {
  const { granted, ...rest } = (answer ?? {}) as Readonly<Record<string, unknown>>;
  const texts = granted === true ? ['name', 'pod', 'version'] : ['refusal', 'message'];
  if (typeof granted !== 'boolean' || !texts.every((name) => typeof rest[name] === 'string')) {
    throw new TypeError('sent something that is no answer about the data directory');
  }
  return answer as HandOverAnswer;
}

/** What another process says of itself, for the log and for readiness. */
export function shown(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}
