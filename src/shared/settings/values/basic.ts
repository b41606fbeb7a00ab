/** Rows of texts, choices, flags, numbers and lists, read as gocore and Go's `strconv` and `time` read them. */

import { errorMessage } from '../../errors.js';
import { type Default, type Setting, type SettingOptions, ValueError } from '../setting.js';
import { formatGoDuration, parseGoDuration } from './duration.js';

/** Throws an error whose message is the problem. */
type Check = (text: string) => unknown;

export interface TextOptions extends SettingOptions<string> {
  /** What a text that is not empty must be. */
  readonly check?: Check;
}

export function text(
  value: Default<string>,
  doc: string,
  { check, ...options }: TextOptions = {},
): Setting<string> {
  return {
    ...options,
    type: 'text',
    default: value,
    doc,
    emptyIsDefault: false,
    parse(text) {
      if (text !== '') check?.(text);
      return text;
    },
    format: (value) => value,
  };
}

/** `parse` reads a text that is not empty. An empty one is undefined. */
export function optional<T extends { readonly text: string }>(
  value: string,
  doc: string,
  parse: (text: string) => T,
  { contexts = {}, ...options }: SettingOptions<string> = {},
): Setting<T | undefined> {
  const read = (text: string) => (text === '' ? undefined : parse(text));
  return {
    ...options,
    type: 'text',
    default: read(value),
    contexts: Object.fromEntries(Object.entries(contexts).map(([name, text]) => [name, read(text)])),
    doc,
    emptyIsDefault: false,
    parse: read,
    format: (value) => value?.text ?? '',
  };
}

/** `parse` reads an empty text too, or refuses it. */
export function needed<T extends { readonly text: string }>(
  value: string,
  doc: string,
  parse: (text: string) => T,
  options: Omit<SettingOptions<T>, 'contexts'> = {},
): Setting<T> {
  return {
    ...options,
    type: 'text',
    default: parse(value),
    doc,
    emptyIsDefault: false,
    parse,
    format: (value) => value.text,
  };
}

export function choice<const C extends string>(
  choices: readonly C[],
  value: Default<NoInfer<C>>,
  doc: string,
): Setting<C> & { readonly choices: readonly C[] } {
  return {
    type: choices.map((choice) => (choice === '' ? 'empty' : `\`${choice}\``)).join(', '),
    choices,
    default: value,
    doc,
    emptyIsDefault: true,
    parse: (text) => oneOf(choices, text),
    format: (value) => value,
  };
}

/** The text as one of `choices`. Throws ValueError. */
export function oneOf<C extends string>(choices: readonly C[], text: string): C {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  const some = choices.filter((one) => one !== '').join(', ');
  throw new ValueError(`${JSON.stringify(text)} is none of ${some}`);
}

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

export function flag(value: Default<boolean>, doc: string): Setting<boolean> {
  return {
    type: 'boolean',
    default: value,
    doc,
    emptyIsDefault: true,
    parse(text) {
      if (TRUE.has(text)) return true;
      if (FALSE.has(text)) return false;
      throw new ValueError(`${JSON.stringify(text)} is neither true nor false`);
    },
    format: String,
  };
}

interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

export function integer(
  value: Default<number>,
  doc: string,
  { min, max, ...options }: Bounds & SettingOptions<number> = {},
): Setting<number> {
  return {
    ...options,
    type: ranged('integer', { min, max }),
    default: value,
    doc,
    emptyIsDefault: true,
    parse(text) {
      if (!/^[+-]?\d+$/.test(text)) throw new ValueError(`${JSON.stringify(text)} is not a whole number`);
      const value = Number(text);
      if (!Number.isSafeInteger(value)) throw new ValueError('is too large');
      return bounded(value, { min, max }, String);
    },
    format: String,
  };
}

export function decimal(value: Default<number>, doc: string, bounds: Bounds = {}): Setting<number> {
  return {
    type: ranged('number', bounds),
    default: value,
    doc,
    emptyIsDefault: true,
    parse(text) {
      if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(text)) {
        throw new ValueError(`${JSON.stringify(text)} is not a number`);
      }
      const value = Number(text);
      if (!Number.isFinite(value)) throw new ValueError('is too large');
      return bounded(value, bounds, String);
    },
    format: String,
  };
}

/** Written as Go does (`1s`, `5m`, `24h`), held in milliseconds. */
export function duration(
  milliseconds: Default<number>,
  doc: string,
  min = 0,
  options: SettingOptions<number> = {},
): Setting<number> {
  return {
    ...options,
    type: 'duration',
    default: milliseconds,
    doc,
    emptyIsDefault: true,
    parse: (text) => bounded(parseGoDuration(text), { min }, formatGoDuration),
    format: formatGoDuration,
  };
}

function ranged(type: string, { min, max }: { min: number | undefined; max: number | undefined } | Bounds) {
  if (min !== undefined && max !== undefined) return `${type}, ${min} to ${max}`;
  return min === undefined ? type : `${type}, at least ${min}`;
}

function bounded(
  value: number,
  { min, max }: { readonly min?: number | undefined; readonly max?: number | undefined },
  shown: (value: number) => string,
): number {
  if (min !== undefined && value < min) throw new ValueError(`${shown(value)} is below ${shown(min)}`);
  if (max !== undefined && value > max) throw new ValueError(`${shown(value)} is above ${shown(max)}`);
  return value;
}

export interface ListOptions {
  /** Set and empty, it is an empty list; others then have their default. As in Go, where a file and not the program has it. */
  readonly emptyIsNone?: true;
  /**
   * Reads an entry: as it is to be held. Throws an error whose message is the problem.
   * @default as it is
   */
  readonly entry?: (text: string) => string;
}

/** `|`-separated. Entries that are held alike are held once. */
export function list(
  doc: string,
  value: Default<readonly string[]> = [],
  { emptyIsNone, entry = (text) => text }: ListOptions = {},
): Setting<readonly string[]> {
  return {
    type: 'list',
    default: value,
    doc,
    emptyIsDefault: emptyIsNone !== true,
    parse: (text) => entries(text, entry),
    format: (value) => value.join('|'),
  };
}

/** The entries of a `|`-separated list, each read by `entry`. Throws ValueError with the problems of all of them. */
export function entries<T>(text: string, entry: (text: string) => T): readonly T[] {
  const problems: string[] = [];
  const values = new Set<T>();
  for (const item of text.split('|')) {
    const one = item.trim();
    if (one === '') continue;
    try {
      values.add(entry(one));
    } catch (error) {
      problems.push(errorMessage(error));
    }
  }
  if (problems.length > 0) throw new ValueError(...problems);
  return [...values];
}
