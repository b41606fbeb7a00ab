/** P14: server-sent events beside a WebSocket, by CPU a delivery: frames as they come one by one, and in bursts. */

import type { Pace } from './firehose/arena.js';
import { deliverInTurns } from './firehose/turns.js';
import type { BenchmarkOptions, BenchmarkResult } from './result.js';

const SECONDS = 5;
const CLIENTS = 1000;
const AIM = 2;
const ONE_EVERY_MS = 10;
const BURST = 64;
const BURST_EVERY_MS = 100;

const PATHS = { WebSocket: '/p2p-ws?meta=true', SSE: '/events' } as const;

export async function run(
  { seconds = SECONDS, ...options }: BenchmarkOptions,
  clients = CLIENTS,
): Promise<BenchmarkResult> {
  const paces: Readonly<Record<string, Pace>> = {
    'one by one': { burst: 1, bursts: (seconds * 1000) / ONE_EVERY_MS, everyMs: ONE_EVERY_MS },
    'in bursts': { burst: BURST, bursts: (seconds * 1000) / BURST_EVERY_MS, everyMs: BURST_EVERY_MS },
  };
  const contestants = Object.entries(paces).flatMap(([pace, frames]) =>
    Object.entries(PATHS).map(([name, path]) => ({
      name: `${name}, ${pace}`,
      paths: Array<string>(clients).fill(path),
      ...frames,
    })),
  );
  const { cpu, bytes, dropped } = await deliverInTurns(contestants, options);
  return {
    id: 'P14',
    title: `Server-sent events beside a WebSocket: ${clients.toLocaleString('en-US')} consumers of frames with meta`,
    figures: [...cpu, ...bytes],
    ratios: Object.keys(paces).map((pace) => {
      const of = (name: keyof typeof PATHS) =>
        cpu.find((each) => each.name === `${name}, ${pace}`)?.median ?? Number.NaN;
      const value = of('SSE') / of('WebSocket');
      return { name: `CPU a delivery ${pace}, SSE to WebSocket`, value, aim: `≤ ${AIM}`, met: value <= AIM };
    }),
    dropped,
    notes: [`one frame each ${ONE_EVERY_MS} ms, and ${BURST} each ${BURST_EVERY_MS} ms`],
  };
}
