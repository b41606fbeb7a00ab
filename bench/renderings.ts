/** P13: bytes and CPU a delivery for each way in which the feed can be taken. */

import { deliverInTurns } from './firehose/turns.js';
import type { BenchmarkOptions, BenchmarkResult, Figure } from './result.js';

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
  { seconds = SECONDS, ...options }: BenchmarkOptions,
  clients = CLIENTS,
): Promise<BenchmarkResult> {
  const bursts = Math.ceil((seconds * 1000) / EVERY_MS);
  const contestants = Object.entries(RENDERINGS).map(([name, query]) => ({
    name,
    paths: Array<string>(clients).fill(`/p2p-ws${query === '' ? '' : `?${query}`}`),
    ...{ burst: BURST, bursts, everyMs: EVERY_MS },
  }));
  const { bytes, cpu, dropped } = await deliverInTurns(contestants, options);
  const of = (all: readonly Figure[], wanted: Name) =>
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
