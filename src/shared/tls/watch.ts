/**
 * Files of TLS that are replaced while they are in use: written over, or a link pointed elsewhere, as Kubernetes does. Their contents are
 * looked at, every second: nothing tells of a change behind a link or on a network volume, and times and inodes may be the same.
 */

import { X509Certificate } from 'node:crypto';
import { Repeating } from '../async/repeat.js';
import { ConfigurationError } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import {
  type Pem,
  readTlsFiles,
  readTlsFilesSync,
  type TlsFileContents,
  type TlsFileSet,
  wholePem,
} from './files.js';
import type { TlsMetrics } from './metrics.js';

/** What a set of files is for. */
const TLS_USES = ['websocket', 'peerservice', 'services', 'kafka'] as const;
export type TlsUse = (typeof TLS_USES)[number];
export type TlsSets = { readonly [use in TlsUse]?: TlsFileSet | undefined };

const LOOK_MS = 1_000;

/** What a look found: new files that are taken, new ones that are not and why, or the ones in use where others had been. */
export type LookOutcome =
  | { readonly outcome: 'reloaded' | 'restored' }
  | { readonly outcome: 'refused'; readonly problems: readonly string[] };

/** A set of files as it was when it was last whole. */
export class WatchedPem {
  readonly #set: TlsFileSet;
  readonly #listeners = new Set<(pem: Pem) => void>();
  #current: Pem;
  #used: TlsFileContents;
  #seen: TlsFileContents;
  #judged: TlsFileContents;

  /** Reads the files. Throws ConfigurationError naming each setting whose file is missing, unreadable or does not fit. */
  constructor(set: TlsFileSet) {
    this.#set = set;
    this.#used = readTlsFilesSync(set);
    this.#seen = this.#used;
    this.#judged = this.#used;
    const { problems, pem } = wholePem(set, this.#used);
    if (problems.length > 0) throw new ConfigurationError(problems);
    this.#current = pem;
  }

  /** For connections that are made from now on. The same object until the files change. */
  get current(): Pem {
    return this.#current;
  }

  /** Unix ms of the certificate's end; undefined where the set has none. */
  get expiry(): number | undefined {
    const { cert } = this.#current;
    return cert === undefined ? undefined : Date.parse(new X509Certificate(cert).validTo);
  }

  onChange(listener: (pem: Pem) => void): void {
    this.#listeners.add(listener);
  }

  /** Reads again; undefined where there is nothing new, or it may still be written: it has to be the same at two looks. */
  async look(): Promise<LookOutcome | undefined> {
    const found = await readTlsFiles(this.#set);
    const settled = same(found, this.#seen);
    this.#seen = found;
    if (!settled || same(found, this.#judged)) return undefined;
    this.#judged = found;
    if (same(found, this.#used)) return { outcome: 'restored' };
    const { problems, pem } = wholePem(this.#set, found);
    if (problems.length > 0) return { outcome: 'refused', problems };
    this.#used = found;
    this.#current = pem;
    for (const listener of this.#listeners) listener(pem);
    return { outcome: 'reloaded' };
  }
}

function same(left: TlsFileContents, right: TlsFileContents): boolean {
  return [...left].every(([part, found]) => {
    const other = right.get(part);
    return typeof found === 'string' || typeof other === 'string' || other === undefined
      ? found === other
      : found.equals(other);
  });
}

export interface TlsWatchComponents {
  /** Where another thread tells of the same files, none. */
  readonly logger?: Logger;
  readonly metrics?: TlsMetrics;
  /** New files are not taken. */
  readonly refused?: () => void;
}

export interface TlsWatchOptions {
  /**
   * Milliseconds between two looks.
   * @default 1_000
   */
  readonly everyMs?: number;
}

/** The sets that a thread uses. New files that are not whole leave the old ones in use and are told once; each change is looked at anew. */
export class TlsWatch {
  readonly #components: TlsWatchComponents;
  readonly #sets = new Map<TlsUse, WatchedPem>();
  readonly #looks: Repeating;
  #stopped = false;

  /** Reads the files of `sets`. Throws ConfigurationError with the problems of all of them. */
  constructor(components: TlsWatchComponents, sets: TlsSets, { everyMs = LOOK_MS }: TlsWatchOptions = {}) {
    this.#components = components;
    this.#looks = new Repeating(() => this.#look(), {
      everyMs,
      onError: (error) => components.logger?.error({ err: error }, 'TLS files not looked at'),
    });
    const problems: string[] = [];
    for (const use of TLS_USES) {
      const set = sets[use];
      if (set === undefined) continue;
      try {
        this.#sets.set(use, new WatchedPem(set));
      } catch (error) {
        if (!(error instanceof ConfigurationError)) throw error;
        problems.push(...error.problems.filter((problem) => !problems.includes(problem)));
      }
    }
    if (problems.length > 0) throw new ConfigurationError(problems);
    for (const [use, pem] of this.#sets) {
      components.metrics?.refused.set({ use }, 0);
      for (const outcome of ['reloaded', 'refused']) components.metrics?.reloads.inc({ use, outcome }, 0);
      this.#tellExpiry(use, pem);
    }
  }

  /** Undefined where the settings have no use for it. */
  of(use: TlsUse): WatchedPem | undefined {
    return this.#sets.get(use);
  }

  /** Begins to look. It keeps no process running. */
  start(): void {
    if (this.#sets.size > 0) this.#looks.start();
  }

  stop(): void {
    this.#stopped = true;
    void this.#looks.stop();
  }

  async #look(): Promise<void> {
    for (const [use, pem] of this.#sets) {
      const found = await pem.look();
      if (found === undefined || this.#stopped) continue;
      this.#tell(use, pem, found);
    }
  }

  #tell(use: TlsUse, pem: WatchedPem, found: LookOutcome): void {
    const { logger, metrics, refused } = this.#components;
    metrics?.refused.set({ use }, found.outcome === 'refused' ? 1 : 0);
    if (found.outcome !== 'restored') metrics?.reloads.inc({ use, outcome: found.outcome });
    if (found.outcome === 'refused') {
      refused?.();
      logger?.error({ use, problems: found.problems }, 'new TLS files refused, the old ones stay in use');
      return;
    }
    this.#tellExpiry(use, pem);
    const { expiry } = pem;
    const expires = expiry === undefined ? undefined : new Date(expiry).toISOString();
    logger?.info(
      { use, expires },
      found.outcome === 'reloaded' ? 'TLS files reloaded' : 'the TLS files in use are back',
    );
  }

  #tellExpiry(use: TlsUse, { expiry }: WatchedPem): void {
    if (expiry !== undefined) this.#components.metrics?.expiry.set({ use }, expiry / 1000);
  }
}
