/** How the text of a parameter is read, and what is said of it in documents. */

import type { JsonSchema } from '../messages/frame-fields.js';
import { FRAME_KINDS } from '../messages/index.js';
import { parsePeerId } from '../net/peer-id.js';
import { badCursor, FeedProblem } from './problems.js';

export interface ParameterType<T> {
  /** What it must be, as it stands behind "must be". */
  readonly expects: string;
  readonly schema: JsonSchema;
  /** Whether values are separated by commas. */
  readonly list?: true;
  /** The value; undefined where it is none. Throws FeedProblem where there is more to say of that than `expects`. */
  read(text: string): T | undefined;
}

/** One of `values`, as they are spelled. */
export function choice<const T extends string | number>(...values: readonly T[]): ParameterType<T> {
  return {
    expects: `${values.slice(0, -1).join(', ')}${values.length > 1 ? ' or ' : ''}${values.at(-1)}`,
    schema: { type: typeof values[0] === 'number' ? 'integer' : 'string', enum: values },
    read: (text) => values.find((value) => String(value) === text),
  };
}

export const flag: ParameterType<boolean> = {
  expects: '`true` or `false`',
  schema: { type: 'boolean' },
  read: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
};

/** A whole number from `minimum` to `maximum`, in decimal digits. */
export function wholeNumber(minimum: number, maximum: number, preset: number): ParameterType<number> {
  return {
    expects: `a whole number from ${minimum} to ${maximum}`,
    schema: { type: 'integer', minimum, maximum, default: preset },
    read(text) {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      return value >= minimum && value <= maximum ? value : undefined;
    },
  };
}

/** Text that is all of `pattern`, which has no anchors. */
export function matching(pattern: string, expects: string): ParameterType<string> {
  const whole = new RegExp(`^(?:${pattern})$`);
  return {
    expects,
    schema: { type: 'string', pattern: whole.source },
    read: (text) => (whole.test(text) ? text : undefined),
  };
}

const cursorForm = matching('[0-9A-Za-z._-]{1,128}', 'a cursor that this server gave, `oldest` or `now`');

/** What may be a cursor; whether it is one, the history knows. */
export const cursorText: ParameterType<string> = {
  ...cursorForm,
  read(text) {
    if (cursorForm.read(text) === undefined) throw badCursor(text);
    return text;
  },
};

const NAMES = FRAME_KINDS.map(({ name }) => name);

/** Ids of kinds by their names, ascending, each once. */
export const kindList: ParameterType<readonly number[]> = {
  expects: `names of kinds, separated by commas: ${NAMES.join(', ')}`,
  schema: { type: 'array', items: { type: 'string', enum: NAMES }, minItems: 1 },
  list: true,
  read(text) {
    const ids = new Set<number>();
    for (const name of text.split(',')) {
      const kind = FRAME_KINDS.find((each) => each.name === name);
      if (kind === undefined) throw new FeedProblem('unknown_kind', unknownKind(name), { kinds: NAMES });
      ids.add(kind.id);
    }
    return [...ids].sort((a, b) => a - b);
  },
};

const unknownKind = (name: string): string =>
  name === ''
    ? 'kinds: a name is empty'
    : `kinds: ${JSON.stringify(name.slice(0, 64))} is none of ${NAMES.join(', ')}`;

/** Peer IDs in base58, sorted, each once; at most `maximum` as they are written. */
export function peerList(maximum: number): ParameterType<readonly string[]> {
  return {
    expects: `peer IDs, separated by commas, at most ${maximum}`,
    schema: { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: maximum },
    list: true,
    read(text) {
      const written = text.split(',');
      if (written.length > maximum) return undefined;
      const ids = new Set<string>();
      for (const each of written) {
        const id = parsePeerId(each);
        if (id === undefined)
          throw new FeedProblem(
            'bad_parameter',
            `peers: ${JSON.stringify(each.slice(0, 64))} is no peer ID`,
            {
              parameter: 'peers',
            },
          );
        ids.add(id);
      }
      return [...ids].sort();
    },
  };
}

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
/** The latest that a Date can be, unix ms. */
const LAST_MS = 8.64e15;

/** Unix ms of a date: RFC 3339, or unix ms in decimal digits. */
export const instant: ParameterType<number> = {
  expects: 'a time of RFC 3339, such as 2026-11-30T01:02:03Z, or unix milliseconds',
  schema: { type: 'string', pattern: `^\\d{1,16}$|${RFC_3339.source}` },
  read(text) {
    if (/^\d{1,16}$/.test(text)) {
      const ms = Number(text);
      return ms <= LAST_MS ? ms : undefined;
    }
    const [, year, month, day, hour, minute, second] = RFC_3339.exec(text)?.map(Number) ?? [];
    if (year === undefined || month === undefined || day === undefined) return undefined;
    if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
    // A day that the month does not have would be one of the next.
    if (new Date(Date.UTC(year, month - 1, day)).getUTCDate() !== day) return undefined;
    const ms = Date.parse(text.toUpperCase());
    return Number.isNaN(ms) ? undefined : ms;
  },
};
