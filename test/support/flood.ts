/** A peer in a process of its own that sends a server so much, as fast as it is told. */

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TestServer } from './server.js';
import { waitFor } from './wait.js';

const FLOODER = fileURLToPath(new URL('../integration/programs/flooder.js', import.meta.url));

export interface FloodOptions {
  readonly topic: string;
  /** Local address of its connection. */
  readonly from: string;
  /** Messages in all. */
  readonly count: number;
  readonly perSecond: number;
  /** What it sends: see `programs/flooder.ts`. */
  readonly how: 'signed' | 'forged' | 'costly';
}

export interface Flood {
  /** Lines it has printed: one when it begins, one when it has ended. */
  readonly lines: Record<string, number>[];
  readonly process: ChildProcess;
}

/** Starts a flooder and resolves when it begins. */
export async function flood(
  context: Pick<TestContext, 'after'>,
  { server, address }: TestServer,
  { topic, from, count, perSecond, how }: FloodOptions,
): Promise<Flood> {
  const rest = [address, server.peerId, topic, from, String(count), String(perSecond), how];
  const child = spawn(process.execPath, [FLOODER, ...rest], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => {
    child.kill('SIGKILL');
  });
  const lines: Record<string, number>[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  await waitFor(() => lines.length > 0, { what: 'the flood to begin', timeoutMs: 180_000 });
  return { lines, process: child };
}

/** The value below which `share` of the sorted values are. */
export const percentile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
