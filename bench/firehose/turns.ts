/** Ways to take the feed beside one another: delivered to in turn, and what a delivery of each comes to. */

import { type BenchmarkOptions, type Figure, figureOf } from '../result.js';
import { Consumers, type Delivered, deliver, type Pace } from './arena.js';
import { serveFeed } from './served.js';

const RUNS = 5;

export interface Contestant extends Pace {
  readonly name: string;
  /** One for each consumer. */
  readonly paths: readonly string[];
}

/** Figures: one of each contestant, in their order. */
export interface Turns {
  /** Deliveries a second. */
  readonly rates: readonly Figure[];
  /** CPU µs of the notification server a delivery. */
  readonly cpu: readonly Figure[];
  /** Bytes a delivery. */
  readonly bytes: readonly Figure[];
  readonly dropped: number;
}

/** Delivers to each in turn, from one server to consumers in one process: once to warm up, then `runs` times. */
export async function deliverInTurns(
  contestants: readonly Contestant[],
  { runs = RUNS, progress }: BenchmarkOptions,
): Promise<Turns> {
  const taken = contestants.map((contestant) => ({ contestant, results: [] as Delivered[] }));
  let dropped = 0;
  const consumers = new Consumers();
  const served = await serveFeed();
  try {
    for (let count = 0; count <= runs; count++)
      for (const { contestant, results } of taken) {
        progress(`${contestant.name}: ${count === 0 ? 'warming up' : `run ${count} of ${runs}`}`);
        const result = await deliver(served, consumers, contestant);
        dropped += result.dropped;
        if (count > 0) results.push(result);
      }
  } finally {
    await served.stop();
    await consumers.stop();
  }
  const figures = (unit: string, value: (each: Delivered) => number) =>
    taken.map(({ contestant, results }) => figureOf(contestant.name, unit, results.map(value)));
  return {
    rates: figures('deliveries/s', (each) => each.deliveries / each.seconds),
    cpu: figures('CPU µs/delivery', (each) => each.cpu),
    bytes: figures('bytes/delivery', (each) => each.bytes),
    dropped,
  };
}
