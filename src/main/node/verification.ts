/**
 * Signatures verified off the main thread. Requests gather for a tick, or until there are 256, and go to the verifying
 * thread as one buffer. While it is at work they gather on, for it would not look at the next any sooner, and each buffer
 * costs the main thread a wake-up on the way there, one back and one on to the checkers.
 *
 * A thread that dies is replaced and given what it had not answered; a batch that was with two threads when they died is
 * verified here instead, for it may be what kills them. When threads die faster than that makes sense, verification
 * stays on the main thread, slower but whole, and a new thread is tried every half minute.
 */

import { createPublicKey, verify as verifyHere } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { monotonic } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging.js';
import { encodeSignatures, type SignedBytes, type VerifyResponse } from '../../shared/signature-batch.js';
import type { NodeMetrics } from './metrics.js';

/** Signatures a batch: larger ones only add latency, measured. */
const BATCH_BOUND = 256;
/** Batches with the thread from which on requests gather longer than a tick; a full batch goes all the same. */
const FLYING_BOUND = 1;
/** Deaths within a minute after which threads are no longer trusted for a while. */
const DEATHS_A_MINUTE = 5;
const RETRY_MS = 30_000;
/** A batch takes 15 ms at the most: a thread that is silent for this long is ended, and counts as dead. */
const SILENCE_MS = 10_000;
/** DER of an Ed25519 public key up to its 32 bytes (RFC 8410). */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

interface Request extends SignedBytes {
  readonly memo: string;
  settle(holds: boolean): void;
}

interface Batch {
  readonly requests: readonly Request[];
  /** When the thread got it, unix ms. */
  since: number;
  /** Threads that died with it. */
  deaths: number;
}

export interface SignatureVerifierOptions {
  /** Where the thread's program is; beside this build unless given. */
  readonly worker?: URL;
  /** Milliseconds of silence after which a thread is ended. Default 10,000. */
  readonly silenceMs?: number;
}

export class SignatureVerifier {
  readonly #logger: Logger;
  readonly #metrics: NodeMetrics;
  readonly #program: URL;
  /** Results on their way, so that a duplicate that arrives meanwhile waits instead of being verified again. */
  readonly #memo = new Map<string, Promise<boolean>>();
  readonly #flying = new Map<number, Batch>();
  #gathering: Request[] = [];
  #tick: NodeJS.Immediate | undefined;
  #worker: Worker | undefined;
  #deaths: number[] = [];
  #retry: NodeJS.Timeout | undefined;
  #watch: NodeJS.Timeout | undefined;
  readonly #silenceMs: number;
  #nextId = 0;
  #stopped = true;

  constructor(
    components: { readonly logger: Logger; readonly metrics: NodeMetrics },
    options: SignatureVerifierOptions = {},
  ) {
    this.#logger = components.logger;
    this.#metrics = components.metrics;
    this.#silenceMs = options.silenceMs ?? SILENCE_MS;
    this.#program = options.worker ?? new URL('../../workers/verifier.js', import.meta.url);
  }

  /** Signatures whose result is awaited. */
  get pending(): number {
    return this.#memo.size;
  }

  /** Whether a thread does the work now. */
  get offMainThread(): boolean {
    return this.#worker !== undefined;
  }

  /** Id of the verifying thread; undefined while there is none. */
  get threadId(): number | undefined {
    return this.#worker?.threadId;
  }

  start(): void {
    this.#stopped = false;
    this.#spawn();
    this.#watch = setInterval(() => this.#endSilent(), this.#silenceMs / 4).unref();
  }

  /** Ends the thread; what was not answered counts as not holding. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearImmediate(this.#tick);
    clearTimeout(this.#retry);
    clearInterval(this.#watch);
    this.#tick = undefined;
    for (const request of this.#gathering) this.#settle(request, false);
    for (const batch of this.#flying.values()) {
      for (const request of batch.requests) this.#settle(request, false);
    }
    this.#gathering = [];
    this.#flying.clear();
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  /**
   * Whether the signature holds. `memo` must stand for all of it, signature and key included: a request with the memo of
   * one on its way gets that one's result. `bytes` must not change until then.
   */
  verify(memo: string, signed: SignedBytes): Promise<boolean> {
    const known = this.#memo.get(memo);
    if (known !== undefined) return known;
    if (this.#stopped) return Promise.resolve(false);
    const { key, signature, bytes } = signed;
    const result = new Promise<boolean>((settle) => {
      this.#gathering.push({ memo, key, signature, bytes, settle });
    });
    this.#memo.set(memo, result);
    if (this.#gathering.length >= BATCH_BOUND) this.#flush();
    else this.#flushSoon();
    return result;
  }

  #flushSoon(): void {
    if (this.#gathering.length === 0 || this.#flying.size >= FLYING_BOUND) return;
    this.#tick ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    clearImmediate(this.#tick);
    this.#tick = undefined;
    const requests = this.#gathering;
    if (requests.length === 0) return;
    this.#gathering = [];
    this.#send({ requests, deaths: 0, since: 0 });
  }

  #send(batch: Batch): void {
    if (this.#worker === undefined || batch.deaths > 1) {
      this.#verifyHere(batch);
      return;
    }
    const id = this.#nextId++;
    batch.since = monotonic();
    this.#flying.set(id, batch);
    const buffer = encodeSignatures(batch.requests);
    this.#worker.postMessage({ id, batch: buffer }, [buffer]);
  }

  #verifyHere({ requests }: Batch): void {
    for (const request of requests) {
      let holds = false;
      try {
        const key = createPublicKey({
          key: Buffer.concat([SPKI_PREFIX, request.key]),
          format: 'der',
          type: 'spki',
        });
        holds = verifyHere(null, request.bytes, key, request.signature);
      } catch {
        // A key that is no point of the curve: nothing it signed can hold.
      }
      this.#count(holds, 'main');
      this.#settle(request, holds);
    }
  }

  #settle(request: Request, holds: boolean): void {
    this.#memo.delete(request.memo);
    request.settle(holds);
  }

  #count(holds: boolean, where: 'thread' | 'main'): void {
    this.#metrics.signatures.inc({ result: holds ? 'holds' : 'forged', where });
  }

  #spawn(): void {
    const worker = new Worker(this.#program, { stdout: false, stderr: false });
    this.#worker = worker;
    let death: unknown;
    worker.on('error', (error) => {
      death = error;
    });
    worker.on('message', (response: VerifyResponse) => this.#onResponse(response));
    worker.on('exit', (code) => this.#onExit(worker, death ?? `exit code ${code}`));
  }

  #onResponse({ id, holds }: VerifyResponse): void {
    const batch = this.#flying.get(id);
    if (batch === undefined) return;
    this.#flying.delete(id);
    this.#flushSoon();
    let valid = 0;
    batch.requests.forEach((request, index) => {
      const held = holds[index] === 1;
      if (held) valid++;
      this.#settle(request, held);
    });
    const forged = batch.requests.length - valid;
    if (valid > 0) this.#metrics.signatures.inc({ result: 'holds', where: 'thread' }, valid);
    if (forged > 0) this.#metrics.signatures.inc({ result: 'forged', where: 'thread' }, forged);
  }

  #endSilent(): void {
    // Batches are answered in order: the first is the oldest.
    for (const { since } of this.#flying.values()) {
      if (monotonic() - since > this.#silenceMs) {
        this.#worker?.terminate().catch((error: unknown) => {
          this.#logger.error({ err: error }, 'a silent verifier cannot be ended');
        });
      }
      return;
    }
  }

  #onExit(worker: Worker, reason: unknown): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    if (this.#stopped) return;
    this.#metrics.verifierDeaths.inc();
    const now = monotonic();
    this.#deaths = [...this.#deaths.filter((at) => at > now - 60_000), now];
    const orphans = [...this.#flying.values()];
    this.#flying.clear();
    if (this.#deaths.length < DEATHS_A_MINUTE) {
      this.#logger.warn({ reason: errorMessage(reason), batches: orphans.length }, 'verifier died, replaced');
      this.#spawn();
    } else {
      this.#logger.error(
        { reason: errorMessage(reason), deaths: this.#deaths.length },
        'verifier keeps dying: signatures are verified on the main thread, slower; a new one is tried in 30 s',
      );
      this.#retry = setTimeout(() => this.#spawn(), RETRY_MS).unref();
    }
    for (const batch of orphans) this.#send({ ...batch, deaths: batch.deaths + 1 });
    this.#flushSoon();
  }
}
