/**
 * The fields of each kind on the wire, as data: the reader, the encoder, the documentation and the tests of wrong types
 * all walk the same table.
 */

/** A 64-bit integer: a number up to 2^53, beyond that a bigint, never rounded. */
export type Integer = number | bigint;

interface Types {
  text: string;
  /** Go's `[]byte`: base64 in a text. Undefined where absent. */
  bytes: Uint8Array | undefined;
  uint32: number;
  uint64: Integer;
  int64: Integer;
  float: number;
  /** A float that may be absent: 0 is a value. */
  'optional float': number | undefined;
  object: object;
  'optional object': object | undefined;
}

export interface WireField {
  /** Name in the decoded message. */
  readonly name: string;
  /** Key with framing `direct`. */
  readonly direct: string;
  /** Key with framing `message-bus`; but for its case the same. */
  readonly bus: string;
  readonly type: keyof Types;
  /** Of an object its own fields; else empty. */
  readonly members: readonly WireField[];
  /** Left out when empty. */
  readonly omitEmpty: boolean;
}

type ValueOf<E extends WireField> = E['type'] extends 'object'
  ? MessageOf<E['members']>
  : E['type'] extends 'optional object'
    ? MessageOf<E['members']> | undefined
    : Types[E['type']];

/** The decoded message that a table of fields describes. */
export type MessageOf<F extends readonly WireField[]> = {
  readonly [E in F[number] as E['name']]: ValueOf<E>;
};

interface FieldOptions {
  /** The message bus's spelling. */
  readonly bus?: string;
  readonly omitEmpty?: boolean;
}

/** A field; `bus` where the two framings spell its key differently. */
export function field<const N extends string, const T extends Exclude<keyof Types, `${string}object`>>(
  name: N,
  type: T,
  key: string,
  options: FieldOptions = {},
): WireField & { readonly name: N; readonly type: T } {
  const { bus = key, omitEmpty = false } = options;
  return { name, type, direct: key, bus, members: [], omitEmpty };
}

/** A field that is an object of `members`; `optional object` where Go has a pointer to it. */
export function objectField<
  const N extends string,
  const T extends 'object' | 'optional object',
  const M extends readonly WireField[],
>(
  name: N,
  type: T,
  key: string,
  members: M,
  options: FieldOptions = {},
): WireField & { readonly name: N; readonly type: T; readonly members: M } {
  const { bus = key, omitEmpty = false } = options;
  return { name, type, direct: key, bus, members, omitEmpty };
}

/** What Go's zero value is for `field`. */
export function zeroOf({ type, members }: Pick<WireField, 'type' | 'members'>): unknown {
  switch (type) {
    case 'text':
      return '';
    case 'bytes':
    case 'optional float':
    case 'optional object':
      return undefined;
    case 'object':
      return zeroMessage(members);
    default:
      return 0;
  }
}

/** A message of which nothing was told. */
export function zeroMessage(table: readonly WireField[]): Record<string, unknown> {
  return Object.fromEntries(table.map((field) => [field.name, zeroOf(field)]));
}
