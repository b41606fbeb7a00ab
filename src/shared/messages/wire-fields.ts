/**
 * The fields of each kind on the wire, as data: the reader, the encoder, the documentation and the tests of wrong types
 * all walk the same table.
 */

import { type Fields, foldKey } from './fields.js';
import { Refusal } from './refusal.js';

/** A 64-bit integer: a number up to 2^53, beyond that a bigint, never rounded. */
export type Integer = number | bigint;

interface Types {
  text: string;
  uint32: number;
  uint64: Integer;
  int64: Integer;
  float: number;
  /** A float that may be absent: 0 is a value. */
  'optional float': number | undefined;
  object: object | undefined;
}

export interface WireField {
  /** Name in the decoded message. */
  readonly name: string;
  /** Key with framing `direct`. */
  readonly direct: string;
  /** Key with framing `message-bus`. */
  readonly bus: string;
  /** Either key as it is found in Fields. */
  readonly folded: string;
  readonly type: keyof Types;
  /** Left out when empty. */
  readonly omitEmpty: boolean;
}

/** The decoded message that a table of fields describes. */
export type MessageOf<F extends readonly WireField[]> = {
  readonly [E in F[number] as E['name']]: Types[E['type']];
};

/** A field; `bus` where the two framings spell its key differently. */
export function field<const N extends string, const T extends keyof Types>(
  name: N,
  type: T,
  key: string,
  options: { readonly bus?: string; readonly omitEmpty?: boolean } = {},
): WireField & { readonly name: N; readonly type: T } {
  return {
    name,
    type,
    direct: key,
    bus: options.bus ?? key,
    folded: foldKey(key),
    omitEmpty: options.omitEmpty ?? false,
  };
}

const UINT32_MAX = 0xffff_ffff;
const UINT64_MAX = 0xffff_ffff_ffff_ffffn;
const INT64_MAX = 0x7fff_ffff_ffff_ffffn;

/** What Go's zero value is for `type`. */
export function zeroOf(type: WireField['type']): unknown {
  switch (type) {
    case 'text':
      return '';
    case 'optional float':
    case 'object':
      return undefined;
    default:
      return 0;
  }
}

function fits(value: unknown, type: WireField['type']): boolean {
  switch (type) {
    case 'text':
      return typeof value === 'string';
    case 'object':
      return typeof value === 'object' && !Array.isArray(value);
    case 'float':
    case 'optional float':
      return typeof value === 'number' && Number.isFinite(value);
    case 'uint32':
      return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= UINT32_MAX;
    case 'uint64':
      return typeof value === 'bigint'
        ? value >= 0n && value <= UINT64_MAX
        : Number.isSafeInteger(value) && (value as number) >= 0;
    case 'int64':
      return typeof value === 'bigint'
        ? value >= -INT64_MAX - 1n && value <= INT64_MAX
        : Number.isSafeInteger(value);
  }
}

/**
 * Reads every field of `table`, absent ones as Go's zero value. Throws Refusal `malformed` on a wrong type or a number out
 * of its range: what Go's decoder would not take either. Keys are tried in both spellings, which folding makes one.
 */
export function readFields<const F extends readonly WireField[]>(table: F, fields: Fields): MessageOf<F> {
  const message: Record<string, unknown> = {};
  for (const { name, direct, folded, type } of table) {
    const value = fields.get(folded);
    if (value === undefined) message[name] = zeroOf(type);
    else if (fits(value, type)) message[name] = value;
    else throw new Refusal('malformed', `${direct} is no ${type}`);
  }
  return message as MessageOf<F>;
}
