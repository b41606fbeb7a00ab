/** P5: what one client that never reads adds to the others' p99. */

import { setTimeout as delay } from 'node:timers/promises';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';
import { Clients, serverContestant } from './websocket/arena.js';
import { WIRE_BYTES } from './websocket/frame.js';

const RUNS = 5;
const CLIENTS = 1000;
const BURST = 64;
/** Bursts before measuring: enough for the stalled client's kernel buffers and its bound to be full. */
const FILL_BURSTS = 120;
const FRAMES = 100;
const EVERY_MS = 20;
const TIMEOUT_MS = 30_000;

export async function run({ runs = RUNS, progress }: BenchmarkOptions): Promise<BenchmarkResult> {
  const alone: number[] = [];
  const beside: number[] = [];
  let dropped = 0;
  const load = new Clients();
  const server = await serverContestant(CLIENTS * 2);
  try {
    for (let count = 0; count <= runs; count++) {
      progress(count === 0 ? 'warming up' : `run ${count} of ${runs}`);
      for (const stalled of [0, 1]) {
        await load.open(server, CLIENTS, stalled);
        // Of the stalled one only the greeting may have come, with the answer to its upgrade or not at all.
        let expected = CLIENTS * server.greetingBytes;
        for (let burst = 0; burst < FILL_BURSTS; burst++) {
          server.publish(BURST);
          expected += CLIENTS * BURST * WIRE_BYTES;
          await load.reach(expected, TIMEOUT_MS);
        }
        load.measure(WIRE_BYTES);
        for (let frame = 0; frame < FRAMES; frame++) {
          server.publish(1);
          await delay(EVERY_MS);
        }
        expected += CLIENTS * FRAMES * WIRE_BYTES;
        if (!(await load.reach(expected, TIMEOUT_MS))) dropped += CLIENTS * FRAMES;
        const { p99 } = await load.latency();
        await load.close();
        if (count > 0) (stalled === 0 ? alone : beside).push(p99);
      }
    }
  } finally {
    await server.stop();
    await load.stop();
  }
  const reference = figureOf('p99 of 1,000 clients', 'ms', alone);
  const measured = figureOf('p99 of 1,000 clients beside a stalled one', 'ms', beside);
  const ratio = measured.median / reference.median;
  return {
    id: 'P5',
    title: 'One stalled WebSocket client among 1,000',
    figures: [reference, measured],
    ratios: [
      { name: 'p99 beside a stalled client, to without', value: ratio, aim: '<= 1.05', met: ratio <= 1.05 },
    ],
    dropped,
    notes: [
      `${FRAMES} frames a run, one every ${EVERY_MS} ms, after ${FILL_BURSTS * BURST} frames that fill the stalled client's buffers`,
      'a delivery is counted when the load process reads it: its own queue is part of every figure',
    ],
  };
}
