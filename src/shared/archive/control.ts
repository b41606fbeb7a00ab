/** What main and the archiver's process tell each other over IPC. */

import type { CursorsOf } from '../firehose/cursor-schemes.js';

/** Main → archiver, once. */
export interface ArchiverConfig {
  /** Of the journal, absolute. */
  readonly directory: string;
  readonly cursors: CursorsOf;
  readonly logLevel: string;
}

/** Archiver → main. */
export type ArchiverReport =
  /** It gets on. */
  | { readonly type: 'progress' }
  /** It could not do what there was to do; it ends. */
  | { readonly type: 'failed'; readonly reason: string }
  /** Nothing is left to do; it ends. */
  | { readonly type: 'done' };
