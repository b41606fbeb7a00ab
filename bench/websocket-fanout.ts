/** P2: WebSocket frames delivered a second to 1,000 and 10,000 clients, beside bare uWebSockets.js, and to 1,000 beside the Go reference's feed. */

import { goReference } from './reference/subjects.js';
import { type BenchmarkOptions, type BenchmarkResult, type Figure, figureOf } from './result.js';
import {
  bareContestant,
  Clients,
  type Contestant,
  goContestant,
  serverContestant,
} from './websocket/arena.js';
import { WIRE_BYTES } from './websocket/frame.js';

const RUNS = 5;
/** Frames handed over at once; two such are under way, so that neither side waits for the other. */
const BURST = 64;
const AIM = { bare: 0.95, go: 5 };
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
  const built = await goReference();
  const [bare, ours] = [await bareContestant(), await serverContestant(20_000)];
  const go = 'missing' in built ? undefined : await goContestant();
  try {
    for (const { clients, bursts, contestants } of [
      { clients: 1000, bursts: 40, contestants: [bare, ours, ...(go === undefined ? [] : [go])] },
      { clients: 10_000, bursts: 6, contestants: [bare, ours] },
    ]) {
      const rounds = contestants.map((): Round[] => []);
      // Taken in turns: what else the machine does falls on both.
      for (let count = 0; count <= runs; count++) {
        progress(
          count === 0 ? `${clients} clients: warming up` : `${clients} clients: run ${count} of ${runs}`,
        );
        for (const [index, contestant] of contestants.entries()) {
          const result = await round(contestant, load, { clients, bursts });
          if (contestant === ours) dropped += result.dropped;
          else if (result.dropped > 0) {
            throw new Error(`${contestant.name} did not deliver to ${clients} clients`);
          }
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
        {
          name: `deliveries, ${clients} clients, to bare publish`,
          value,
          aim: `≥ ${AIM.bare}`,
          met: value >= AIM.bare,
        },
        {
          name: `deliveries a CPU second, ${clients} clients`,
          value: cost,
          aim: `≥ ${AIM.bare}`,
          met: cost >= AIM.bare,
        },
      );
      const inGo = deliveries[2]?.median;
      if (inGo !== undefined) {
        const times = (deliveries[1]?.median ?? 0) / inGo;
        const name = `deliveries, ${clients} clients, to the Go reference`;
        ratios.push({ name, value: times, aim: `≥ ${AIM.go}`, met: times >= AIM.go });
      }
    }
  } finally {
    for (const contestant of [bare, ours, go]) await contestant?.stop();
    await load.stop();
  }
  return {
    id: 'P2',
    title: 'WebSocket fan-out of 234-byte frames',
    figures,
    ratios,
    dropped,
    ...('missing' in built ? { notRun: [`beside the Go reference: ${built.missing}`] } : {}),
    notes: [
      'one server process and one load process; on a small machine the load is part of what deliveries/s measures, not of the CPU',
      'the Go reference waits for clients that are behind here, instead of cutting them',
      'CPU of this server holds reading the frame stream; bare publish makes its frames itself',
    ],
  };
}
