/** P2: WebSocket frames delivered a second to 1,000 and 10,000 clients, beside bare uWebSockets.js. */

import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf } from './result.js';
import { bareContestant, Clients, type Contestant, serverContestant } from './websocket/arena.js';
import { WIRE_BYTES } from './websocket/frame.js';

const RUNS = 5;
/** Frames handed over at once; two such are under way, so that neither side waits for the other. */
const BURST = 64;
const ROUND_TIMEOUT_MS = 20_000;

interface Round {
  readonly deliveries: number;
  /** CPU of the process that fans out, in µs a delivery. */
  readonly cpu: number;
  readonly dropped: number;
}

async function round(
  contestant: Contestant,
  load: Clients,
  { clients, bursts }: { clients: number; bursts: number },
): Promise<Round> {
  await load.open(contestant, clients);
  const base = clients * contestant.greetingBytes;
  const burstBytes = clients * BURST * WIRE_BYTES;
  const cpu = await contestant.cpu();
  const start = performance.now();
  contestant.publish(BURST);
  let whole = true;
  for (let burst = 1; burst <= bursts && whole; burst++) {
    if (burst < bursts) contestant.publish(BURST);
    whole = await load.reach(base + burst * burstBytes, ROUND_TIMEOUT_MS);
  }
  const seconds = (performance.now() - start) / 1000;
  const used = (await contestant.cpu()) - cpu;
  await load.close();
  const sent = clients * bursts * BURST;
  return { deliveries: sent / seconds, cpu: (used / sent) * 1e6, dropped: whole ? 0 : sent };
}

export async function run({ runs = RUNS, progress }: BenchmarkOptions): Promise<BenchmarkResult> {
  const figures: Figure[] = [];
  const ratios: BenchmarkResult['ratios'] = [];
  let dropped = 0;
  const load = new Clients();
  const contestants = [await bareContestant(), await serverContestant(20_000)];
  try {
    for (const [clients, bursts] of [
      [1000, 40],
      [10_000, 6],
    ] as const) {
      const rounds = contestants.map((): Round[] => []);
      // Taken in turns: what else the machine does falls on both.
      for (let count = 0; count <= runs; count++) {
        progress(
          count === 0 ? `${clients} clients: warming up` : `${clients} clients: run ${count} of ${runs}`,
        );
        for (const [index, contestant] of contestants.entries()) {
          const result = await round(contestant, load, { clients, bursts });
          dropped += result.dropped;
          // The first round warms up.
          if (count > 0) rounds[index]?.push(result);
        }
      }
      const figure = (unit: string, value: (each: Round) => number) =>
        contestants.map(({ name }, index) =>
          figureOf(`${name}, ${clients} clients`, unit, (rounds[index] ?? []).map(value)),
        );
      const deliveries = figure('deliveries/s', (each) => each.deliveries);
      const cpu = figure('CPU µs/delivery', (each) => each.cpu);
      figures.push(...deliveries, ...cpu);
      const value = (deliveries[1]?.median ?? 0) / (deliveries[0]?.median ?? Number.NaN);
      const cost = (cpu[0]?.median ?? 0) / (cpu[1]?.median ?? Number.NaN);
      ratios.push(
        { name: `deliveries, ${clients} clients, to bare publish`, value, aim: '>= 0.9', met: value >= 0.9 },
        { name: `deliveries a CPU second, ${clients} clients`, value: cost, aim: '>= 0.9', met: cost >= 0.9 },
      );
    }
  } finally {
    for (const contestant of contestants) await contestant.stop();
    await load.stop();
  }
  return {
    id: 'P2',
    title: 'WebSocket fan-out of 234-byte frames',
    figures,
    ratios,
    dropped,
    notes: [
      'one server process and one load process; on a small machine the load is part of what deliveries/s measures, not of the CPU',
      'CPU of this server holds reading the frame stream; bare publish makes its frames itself',
    ],
  };
}
