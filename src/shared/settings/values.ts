/** Values of settings from their text, as gocore and Go's `strconv` and `time` read them. */

import type { NumberSetting, Setting } from './table.js';

/** The text is not a value of the setting's type. The message says what would be. */
export class ValueError extends Error {
  override readonly name = 'ValueError';
}

export type Value = string | boolean | number | readonly string[];

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

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

/**
 * The value that `text` means for `setting`, or `undefined` where an empty text counts as absent: for everything but
 * strings and lists that say otherwise. Throws ValueError.
 */
export function parseValue(setting: Setting, text: string): Value | undefined {
  if (setting.type === 'string') return text;
  if (text === '') return setting.type === 'list' && setting.emptyIsNone === true ? [] : undefined;
  switch (setting.type) {
    case 'choice':
      if (!setting.choices.includes(text)) {
        throw new ValueError(
          `${JSON.stringify(text)} is none of ${setting.choices.filter((one) => one !== '').join(', ')}`,
        );
      }
      return text;
    case 'boolean':
      if (TRUE.has(text)) return true;
      if (FALSE.has(text)) return false;
      throw new ValueError(`${JSON.stringify(text)} is neither true nor false`);
    case 'list':
      return text
        .split('|')
        .map((item) => item.trim())
        .filter((item) => item !== '');
    case 'integer':
      if (!/^[+-]?\d+$/.test(text)) throw new ValueError(`${JSON.stringify(text)} is not a whole number`);
      return bounded(setting, Number(text));
    case 'number':
      if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) {
        throw new ValueError(`${JSON.stringify(text)} is not a number`);
      }
      return bounded(setting, Number(text));
    case 'duration':
      return bounded(setting, parseGoDuration(text));
  }
}

function bounded({ type, min, max }: NumberSetting, value: number): number {
  const shown = (bound: number) => (type === 'duration' ? formatGoDuration(bound) : String(bound));
  if (!Number.isFinite(value) || (type === 'integer' && !Number.isSafeInteger(value))) {
    throw new ValueError('is too large');
  }
  if (min !== undefined && value < min) throw new ValueError(`${shown(value)} is below ${shown(min)}`);
  if (max !== undefined && value > max) throw new ValueError(`${shown(value)} is above ${shown(max)}`);
  return value;
}
