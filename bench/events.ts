/** P14: server-sent events beside a WebSocket, by CPU a delivery: frames as they come one by one, and in bursts. */

import { Consumers, type Delivered, deliver, type Pace } from './firehose/arena.js';
import { serveFeed } from './firehose/served.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const RUNS = 5;
const SECONDS = 5;
const CLIENTS = 1000;
const AIM = 2;
const ONE_EVERY_MS = 10;
const BURST = 64;
const BURST_EVERY_MS = 100;

const PATHS = { WebSocket: '/p2p-ws?meta=true', SSE: '/events' } as const;
type Name = keyof typeof PATHS;

export async function run(
  { runs = RUNS, seconds = SECONDS, progress }: BenchmarkOptions,
  clients = CLIENTS,
): Promise<BenchmarkResult> {
  const paces: Readonly<Record<string, Pace>> = {
    'one by one': { burst: 1, bursts: (seconds * 1000) / ONE_EVERY_MS, everyMs: ONE_EVERY_MS },
    'in bursts': { burst: BURST, bursts: (seconds * 1000) / BURST_EVERY_MS, everyMs: BURST_EVERY_MS },
  };
  const taken = Object.keys(paces).flatMap((pace) =>
    (Object.keys(PATHS) as Name[]).map((name) => ({ pace, name, results: [] as Delivered[] })),
  );
  let dropped = 0;
  const consumers = new Consumers();
  const served = await serveFeed();
  try {
    for (let count = 0; count <= runs; count++)
      for (const { pace, name, results } of taken) {
        progress(`${name}, ${pace}: ${count === 0 ? 'warming up' : `run ${count} of ${runs}`}`);
        const paths = Array<string>(clients).fill(PATHS[name]);
        const result = await deliver(served, consumers, { paths, ...(paces[pace] as Pace) });
        dropped += result.dropped;
        if (count > 0) results.push(result);
      }
  } finally {
    await served.stop();
    await consumers.stop();
  }
  const figures = (unit: string, value: (each: Delivered) => number) =>
    taken.map(({ pace, name, results }) => figureOf(`${name}, ${pace}`, unit, results.map(value)));
  const cpu = figures('CPU µs/delivery', (each) => each.cpu);
  return {
    id: 'P14',
    title: `Server-sent events beside a WebSocket: ${clients.toLocaleString('en-US')} consumers of frames with meta`,
    figures: [...cpu, ...figures('bytes/delivery', (each) => each.bytes)],
    ratios: Object.keys(paces).map((pace) => {
      const of = (name: Name) => cpu.find((each) => each.name === `${name}, ${pace}`)?.median ?? Number.NaN;
      const value = of('SSE') / of('WebSocket');
      return { name: `CPU a delivery ${pace}, SSE to WebSocket`, value, aim: `≤ ${AIM}`, met: value <= AIM };
    }),
    dropped,
    notes: [`one frame each ${ONE_EVERY_MS} ms, and ${BURST} each ${BURST_EVERY_MS} ms`],
  };
}
