/**
 * P4: what a ban check costs against a million banned addresses and subnets, beside the same against ten. Both lists use the
 * same prefix lengths, so that they probe the same number of tables; the addresses asked are the same, nine of ten not
 * banned, as text, IPv4 and IPv6. The rounds of the two lists take turns.
 */

import { MemoryLevel } from 'memory-level';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { LevelBanStore } from '../src/main/bans/level-store.js';
import { BanList } from '../src/main/bans/list.js';
import { createBanMetrics } from '../src/main/bans/metrics.js';
import type { BanEntry } from '../src/main/bans/types.js';
import { wall } from '../src/shared/clock.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const ENTRIES = 1_000_000;
const ASKED = 20_000;
const PASSES = 10;
const ROUNDS = 9;

/** Repeatable 32-bit numbers (mulberry32). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}

const ipv4 = (bits: number): string => [24, 16, 8, 0].map((shift) => (bits >>> shift) & 255).join('.');
const ipv6 = (random: () => number): string =>
  `2001:db8:${[0, 0, 0].map(() => (random() & 0xffff).toString(16)).join(':')}::${(random() & 0xffff).toString(16)}`;

/** Single addresses and /24 of IPv4, single addresses and /64 of IPv6. */
function subject(index: number, random: () => number): string {
  switch (index % 10) {
    case 0:
      return `${ipv4(random())}/24`;
    case 1:
      return `${ipv6(random)}/64`;
    case 2:
    case 3:
      return ipv6(random);
    default:
      return ipv4(random());
  }
}

async function listOf(subjects: Iterable<string>): Promise<BanList> {
  const logger = pino({ level: 'silent' });
  const store = new LevelBanStore({ level: new MemoryLevel({ valueEncoding: 'view' }), logger });
  const until = wall.date() + 86_400_000;
  // What is measured is the check: the entries come as a load brings them.
  store.load = async () => Array.from(subjects, (key): BanEntry => entryOf(key, until));
  const list = new BanList(
    { store, logger, metrics: createBanMetrics(new Registry()) },
    { reloadIntervalMs: 0 },
  );
  await list.open();
  return list;
}

function entryOf(key: string, until: number): BanEntry {
  return { key, kind: key.includes('/') ? 'subnet' : 'address', until, origin: 'operator' };
}

function check(list: BanList, asked: readonly string[]): { readonly ns: number; readonly banned: number } {
  let banned = 0;
  const began = process.hrtime.bigint();
  for (let pass = 0; pass < PASSES; pass++) {
    for (const address of asked) if (list.isAddressBanned(address)) banned++;
  }
  return { ns: Number(process.hrtime.bigint() - began) / (PASSES * asked.length), banned };
}

export async function run({ runs = ROUNDS, progress }: BenchmarkOptions): Promise<BenchmarkResult> {
  progress('loading 1,000,000 bans');
  const random = numbers(1);
  const subjects = Array.from({ length: ENTRIES }, (_, index) => subject(index, random));
  const before = process.memoryUsage();
  const began = performance.now();
  const million = await listOf(subjects);
  const loadMs = performance.now() - began;
  const after = process.memoryUsage();
  const ten = await listOf(subjects.slice(0, 10));
  const stranger = numbers(2);
  const asked = Array.from({ length: ASKED }, (_, index) => {
    if (index % 10 === 0) return (subjects[stranger() % ENTRIES] ?? '').replace(/\/\d+$/, '');
    return index % 3 === 0 ? ipv6(stranger) : ipv4(stranger());
  });
  // Once each unmeasured, so that the compiler has seen both.
  check(ten, asked);
  const { banned } = check(million, asked);
  const small: number[] = [];
  const large: number[] = [];
  for (let round = 0; round < runs; round++) {
    progress(`round ${round + 1} of ${runs}`);
    small.push(check(ten, asked).ns);
    large.push(check(million, asked).ns);
  }
  const reference = figureOf('check against 10 bans', 'ns', small);
  const measured = figureOf('check against 1,000,000 bans', 'ns', large);
  const ratio = measured.median / reference.median;
  const memory = (after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers) / 1_048_576;
  const expected = Math.floor(ASKED / 10) * PASSES;
  return {
    id: 'P4',
    title: 'ban check against 1,000,000 banned addresses and subnets',
    figures: [measured, reference],
    ratios: [
      { name: '1,000,000 to 10', value: ratio, aim: '≤ 2', met: ratio <= 2 },
      { name: 'µs a check', value: measured.median / 1000, aim: '≤ 1', met: measured.median <= 1000 },
    ],
    // Every banned address must be found, or the figures are of something else.
    dropped: banned < expected ? expected - banned : 0,
    notes: [
      `loaded in ${Math.round(loadMs)} ms, about ${Math.round(memory)} MB`,
      `${banned / PASSES} of ${ASKED} addresses asked are banned`,
    ],
  };
}
