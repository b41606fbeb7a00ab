/** What the command line asks of a running server over its local socket: JSON lines, a request and an answer each. */

import { localSocketPath } from '../../shared/ipc/socket-path.js';
import type { DeadLetter, OutboxTopic } from '../../shared/sinks/types.js';
import type { HandOverAnswer, HandOverRequest } from './hand-over.js';

/** What a backup has. */
export interface BackupSummary {
  /** Absolute. */
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
}

/** Methods, their parameters and results. */
export interface ControlMethods {
  outbox: { params: Record<never, never>; result: readonly OutboxTopic[] };
  deadLetters: { params: { readonly limit: number }; result: readonly DeadLetter[] };
  replayDeadLetters: { params: Record<never, never>; result: { readonly replayed: number } };
  acceptLoss: { params: { readonly topic: string }; result: null };
  forget: { params: { readonly cursor: string }; result: null };
  /** Changes the level of every logger in every thread. */
  level: { params: { readonly level: string }; result: { readonly level: string } };
  /** Copies DATADIR to a directory of the server's machine, absolute. */
  backup: { params: { readonly path: string }; result: BackupSummary };
  /** Of another server, which is to have `DATADIR`. Where it gets it, the connection ends when it may take the lock. */
  handOver: { params: HandOverRequest; result: HandOverAnswer };
}

export type ControlMethod = keyof ControlMethods;

export type ControlHandlers = {
  readonly [M in ControlMethod]: (
    params: ControlMethods[M]['params'],
  ) => Promise<ControlMethods[M]['result']> | ControlMethods[M]['result'];
};

export interface ControlRequest {
  readonly id: number;
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

export type ControlResponse =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: string };

/** Where the holder of a data directory listens, from taking its lock until it gives it back. */
export function controlSocketPath(directory: string): string {
  return localSocketPath(directory, 'control.sock');
}

/** Bytes of one request line at the most. */
export const REQUEST_BOUND = 16_384;
/** Bytes of one answer line at the most: 10,000 dead letters fit. */
export const RESPONSE_BOUND = 16 * 1024 * 1024;
