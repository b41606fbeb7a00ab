/**
 * The fields of each kind's WebSocket frames, as data: frames are made by the same table from which the schemas and the documentation of the feed
 * are written.
 */

import type { WireField } from './wire-fields.js';

/** A schema of JSON Schema 2020-12, as plain data. */
export type JsonSchema = Readonly<Record<string, unknown>>;

interface FrameTypeRow {
  /** For documentation. */
  readonly text: string;
  readonly schema: JsonSchema;
  /** A value of it, where a field has no better one. */
  readonly example: unknown;
}

// What `displayText` leaves of a text.
const SHOWN = '^[ !#-%(-;=?-_a-~]*$';

/** What a frame's fields can be. */
export const FRAME_TYPES = {
  hash: {
    text: '64 hex digits, display order',
    schema: { type: 'string', pattern: '^[0-9a-f]{64}$' },
    example: '00000000000000000b9b9b7c4c1a2e4d5f60718293a4b5c6d7e8f90123456789',
  },
  url: { text: 'URL', schema: { type: 'string' }, example: 'https://teranode.example/api/v1' },
  peer: {
    text: 'peer ID',
    schema: { type: 'string', maxLength: 128, pattern: '^[!-~]*$' },
    example: '12D3KooWJ1VtwjXHmd4jvnA8nYGdkXnCJtS9RzUi2vEJJmoCNkkJ',
  },
  name: {
    text: 'at most 64 printable characters',
    schema: { type: 'string', maxLength: 64, pattern: SHOWN },
    example: 'teranode-eu-1',
  },
  reason: {
    text: 'at most 1,024 printable characters',
    schema: { type: 'string', maxLength: 1024, pattern: SHOWN },
    example: 'transaction fee too low',
  },
  hex: {
    text: 'at most 64 hex digits',
    schema: { type: 'string', maxLength: 64, pattern: '^[0-9a-f]*$' },
    example: '01484f6ae2ba9d4e7b5a1f3c',
  },
  uint32: {
    text: 'whole number below 2^32',
    schema: { type: 'integer', minimum: 0, maximum: 4_294_967_295 },
    example: 921_337,
  },
  // Beyond 2^53 too, which is not JavaScript's to say.
  uint64: { text: 'whole number below 2^64', schema: { type: 'integer', minimum: 0 }, example: 1_048_576 },
  int64: { text: 'whole number of 64 bits, signed', schema: { type: 'integer' }, example: 1_795_996_800 },
  float: { text: 'number', schema: { type: 'number' }, example: 0.5 },
  object: { text: 'object', schema: { type: 'object' }, example: {} },
} as const satisfies Readonly<Record<string, FrameTypeRow>>;

export type FrameType = keyof typeof FRAME_TYPES;

export interface FrameField<M = unknown> {
  /** Key in the frame. */
  readonly name: string;
  readonly type: FrameType;
  /** What it says, for a consumer. */
  readonly doc: string;
  readonly example: unknown;
  /** Of an object its own fields. */
  readonly members: readonly WireField[];
  /** Whether an empty text or 0 is told too: always, or only in the current generation's frames. Else it is left out, as Go's encoder leaves it out. */
  readonly keepsZero: boolean | 'current';
  /** Whether the first generation's frames lack it. */
  readonly currentOnly: boolean;
  /** Whether no message of the kind is without it, so that it is never left out. */
  readonly always: boolean;
  /** Its value; undefined where it is left out. */
  of(message: M): unknown;
}

interface FieldOptions {
  readonly example?: unknown;
  readonly members?: readonly WireField[];
  readonly keepsZero?: true | 'current';
  readonly currentOnly?: true;
  readonly always?: true;
}

/** A field of a frame: its key, what it is, where it comes from and what it says. */
export function shown<M>(
  name: string,
  type: FrameType,
  of: (message: M) => unknown,
  doc: string,
  options: FieldOptions = {},
): FrameField<M> {
  const { example = FRAME_TYPES[type].example, members = [], ...rest } = options;
  const { keepsZero = false, currentOnly = false, always = false } = rest;
  return { name, type, doc, example, members, keepsZero, currentOnly, always, of };
}

/** A kind's frame without `timestamp` and `type`, which all have. */
export interface FrameLayout<M = unknown> {
  /** What the frame says, for a consumer. */
  readonly doc: string;
  /** In the order of Go's struct. */
  readonly fields: readonly FrameField<M>[];
}

/** Go's struct has it in frames of every kind; only that of `node_status` says something by it. */
export const NO_BEST_HEIGHT: FrameField = shown(
  'best_height',
  'uint32',
  () => 0,
  'Says something in `node_status` alone.',
  {
    example: 0,
    keepsZero: 'current',
  },
);
