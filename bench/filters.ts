/** P12: what filters cost: 10,000 clients that all get everything, with one filter, 100 and 10,000 different ones, beside none. */

import { nodeId } from './firehose/announcements.js';
import { deliverInTurns } from './firehose/turns.js';
import type { BenchmarkOptions, BenchmarkResult } from './result.js';

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
  options: BenchmarkOptions,
  { clients, bursts }: FilterSizes = { clients: CLIENTS, bursts: BURSTS },
): Promise<BenchmarkResult> {
  const contestants = FILTERS.map((filters) => ({
    name: nameOf(filters),
    paths: Array.from({ length: clients }, (_, client) => pathOf(filters, client)),
    ...{ author: AUTHOR, burst: BURST, bursts, everyMs: 0 },
  }));
  const { rates, cpu, dropped } = await deliverInTurns(contestants, options);
  const [none, ...filtered] = cpu;
  return {
    id: 'P12',
    title: `Filters: fan-out to ${clients.toLocaleString('en-US')} clients that all get every frame`,
    figures: [...rates, ...cpu],
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
