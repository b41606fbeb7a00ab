/** Durations as Go writes them. */

import { ValueError } from '../setting.js';

const NANOSECONDS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

/**
 * Go's `time.ParseDuration` (`1h30m`, `-1.5s`, `0`) in milliseconds, fractions kept. Throws ValueError on anything else
 * and beyond Go's 292 years.
 */
export function parseGoDuration(text: string): number {
  const match = /^([+-]?)(.*)$/s.exec(text);
  const rest = match?.[2] ?? '';
  if (rest === '0') return 0;
  const bad = () => new ValueError(`${JSON.stringify(text)} is not a duration such as 500ms, 10s, 5m or 24h`);
  if (!/^(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(rest)) throw bad();
  let nanoseconds = 0;
  for (const [, amount, unit] of rest.matchAll(/(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g)) {
    nanoseconds += Number(amount) * (NANOSECONDS[unit ?? ''] ?? Number.NaN);
  }
  if (!(nanoseconds <= 2 ** 63)) throw bad();
  return (match?.[1] === '-' ? -nanoseconds : nanoseconds) / 1e6;
}

/** Milliseconds as a person writes them: the largest unit that divides them. */
export function formatGoDuration(milliseconds: number): string {
  if (milliseconds === 0) return '0s';
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (milliseconds % size === 0) return `${milliseconds / size}${unit}`;
  }
  return `${milliseconds}ms`;
}
