/** P13: bytes and CPU a delivery for each way in which the feed can be taken. */

import { Consumers, type Delivered, deliver } from './firehose/arena.js';
import { serveFeed } from './firehose/served.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const RUNS = 5;
const SECONDS = 5;
const CLIENTS = 1000;
/** A thousand frames a second, as they come one by one. */
const BURST = 10;
const EVERY_MS = 10;
const AIM = 0.25;

const RENDERINGS = {
  plain: '',
  'one kind': 'kinds=subtree',
  meta: 'meta=true',
  'meta, 100 ms': 'meta=true&batch=100',
  'meta, 100 ms, gzip': 'meta=true&batch=100&encoding=gzip',
  'meta, 1 s, gzip': 'meta=true&batch=1000&encoding=gzip',
} as const;
type Name = keyof typeof RENDERINGS;
const NAMES = Object.keys(RENDERINGS) as Name[];

export async function run(
  { runs = RUNS, seconds = SECONDS, progress }: BenchmarkOptions,
  clients = CLIENTS,
): Promise<BenchmarkResult> {
  const taken = new Map(NAMES.map((name): [Name, Delivered[]] => [name, []]));
  let dropped = 0;
  const consumers = new Consumers();
  const served = await serveFeed();
  try {
    for (let count = 0; count <= runs; count++)
      for (const [name, results] of taken) {
        progress(`${name}: ${count === 0 ? 'warming up' : `run ${count} of ${runs}`}`);
        const query = RENDERINGS[name];
        const paths = Array<string>(clients).fill(`/p2p-ws${query === '' ? '' : `?${query}`}`);
        const bursts = Math.ceil((seconds * 1000) / EVERY_MS);
        const result = await deliver(served, consumers, { paths, burst: BURST, bursts, everyMs: EVERY_MS });
        dropped += result.dropped;
        if (count > 0) results.push(result);
      }
  } finally {
    await served.stop();
    await consumers.stop();
  }
  const figures = (unit: string, value: (each: Delivered) => number) =>
    [...taken].map(([name, results]) => figureOf(name, unit, results.map(value)));
  const bytes = figures('bytes/delivery', (each) => each.bytes);
  const cpu = figures('CPU µs/delivery', (each) => each.cpu);
  const of = (all: typeof bytes, wanted: Name) =>
    all.find(({ name }) => name === wanted)?.median ?? Number.NaN;
  const packed = of(bytes, 'meta, 100 ms, gzip') / of(bytes, 'meta');
  return {
    id: 'P13',
    title: `Renderings: 1,000 frames a second to ${clients.toLocaleString('en-US')} clients`,
    figures: [...bytes, ...cpu],
    ratios: [
      { name: 'bytes of gzip each 100 ms, to meta', value: packed, aim: `≤ ${AIM}`, met: packed <= AIM },
      ...NAMES.slice(1).map((name) => ({
        name: `CPU a delivery, ${name}, to plain`,
        value: of(cpu, name) / of(cpu, 'plain'),
      })),
    ],
    dropped,
    notes: [
      'announcements of subtrees from twenty nodes, each with a hash that nothing compresses; bytes are those on the socket, heads of frames included',
      'CPU is that of the notification server, reading the frame stream and rendering included',
    ],
  };
}
