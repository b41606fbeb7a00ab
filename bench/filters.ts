/** P12: what filters cost: 10,000 clients that all get everything, with one filter, 100 and 10,000 different ones, beside none. */

import { nodeId } from './firehose/announcements.js';
import { Consumers, type Delivered, deliver } from './firehose/arena.js';
import { serveFeed } from './firehose/served.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const RUNS = 5;
const CLIENTS = 10_000;
const BURST = 64;
const BURSTS = 6;
const AIM = 1.1;
const FILTERS = [0, 1, 100, 10_000];

/** Of each filter one peer announces, and the other does not, so that all have the same to deliver. */
const AUTHOR = nodeId(0);
const pathOf = (filters: number, client: number): string =>
  filters === 0 ? '/p2p-ws' : `/p2p-ws?peers=${AUTHOR},${nodeId(1 + (client % filters))}`;
const nameOf = (filters: number): string =>
  filters === 0
    ? 'no filter'
    : `${filters.toLocaleString('en-US')} ${filters === 1 ? 'filter' : 'different filters'}`;

export interface FilterSizes {
  readonly clients: number;
  readonly bursts: number;
}

export async function run(
  { runs = RUNS, progress }: BenchmarkOptions,
  { clients, bursts }: FilterSizes = { clients: CLIENTS, bursts: BURSTS },
): Promise<BenchmarkResult> {
  const taken = new Map(FILTERS.map((filters): [number, Delivered[]] => [filters, []]));
  let dropped = 0;
  const consumers = new Consumers();
  const served = await serveFeed();
  try {
    for (let count = 0; count <= runs; count++)
      for (const [filters, results] of taken) {
        progress(`${nameOf(filters)}: ${count === 0 ? 'warming up' : `run ${count} of ${runs}`}`);
        const paths = Array.from({ length: clients }, (_, client) => pathOf(filters, client));
        const result = await deliver(served, consumers, {
          ...{ paths, author: AUTHOR, burst: BURST, bursts, everyMs: 0 },
        });
        dropped += result.dropped;
        if (count > 0) results.push(result);
      }
  } finally {
    await served.stop();
    await consumers.stop();
  }
  const figures = (unit: string, value: (each: Delivered) => number) =>
    [...taken].map(([filters, results]) => figureOf(nameOf(filters), unit, results.map(value)));
  const cpu = figures('CPU µs/delivery', (each) => each.cpu);
  const [none, ...filtered] = cpu;
  return {
    id: 'P12',
    title: `Filters: fan-out to ${clients.toLocaleString('en-US')} clients that all get every frame`,
    figures: [...figures('deliveries/s', (each) => each.deliveries / each.seconds), ...cpu],
    ratios: filtered.map(({ name, median }) => {
      const value = median / (none?.median ?? Number.NaN);
      return { name: `CPU a delivery, ${name} to none`, value, aim: `≤ ${AIM}`, met: value <= AIM };
    }),
    dropped,
    notes: [
      'a filter names two peers, of whom one announces: each client gets every frame, by a filter that no other has, or that all have',
      'one server process; the clients share the machine with it, so that deliveries/s hold them too and CPU does not',
    ],
  };
}
