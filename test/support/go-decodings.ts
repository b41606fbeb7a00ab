/** What Go makes of a message, as the Go program of `test/interop` tells it, held against what we make of it. */

import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { unwrap } from '../../src/shared/messages/framing.js';
import { Refusal } from '../../src/shared/messages/refusal.js';
import type { WireField } from '../../src/shared/messages/wire-fields.js';
import { kindNamed } from './kinds.js';

/** Go's answers to the cases of `json-cases.ts`. */
export const RECORDED_DECODINGS = resolve('test/shared/messages/go-decodings.json');

/** A message as it is heard. */
export interface Input {
  readonly kind: string;
  readonly data: Buffer;
}

interface GoFields {
  /** Texts in hex, numbers in digits, null for a nil pointer. */
  readonly [key: string]: string | null | GoFields;
}

interface GoMessage {
  readonly refused?: string;
  readonly fields?: GoFields;
}

/** What a Go node of either generation has after reading an input. */
export interface GoDecoding {
  /** The first generation: without an envelope. */
  readonly direct: GoMessage;
  /** The current one. */
  readonly envelope: GoMessage;
  /** Keys `data` with another value than null. */
  readonly dataKeys: number;
}

export type Agreement = 'direct' | 'message-bus' | 'refused';

function shown(table: readonly WireField[], message: object): GoFields {
  const values = message as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    table.map((field) => [field.direct.toLowerCase(), shownValue(field, values[field.name])]),
  );
}

function shownValue({ type, members }: WireField, value: unknown): GoFields[string] {
  if (value === undefined) return null;
  switch (type) {
    case 'text':
      return Buffer.from(value as string).toString('hex');
    case 'object':
    case 'optional object':
      return shown(members, value as object);
    default:
      return Object.is(value, -0) ? '-0' : String(value);
  }
}

/** As `shown` has them: keys in one case, floats as JavaScript writes them. */
function shownByGo(table: readonly WireField[], fields: GoFields): GoFields {
  const byKey = new Map(Object.entries(fields).map(([key, value]) => [key.toLowerCase(), value]));
  assert.equal(byKey.size, table.length, 'Go has other fields');
  return Object.fromEntries(
    table.map(({ direct, type, members }) => {
      const key = direct.toLowerCase();
      const value = byKey.get(key);
      assert.ok(value !== undefined, `Go has no ${key}`);
      if (typeof value === 'object' && value !== null) return [key, shownByGo(members, value)];
      if (value !== null && type.endsWith('float'))
        return [key, value === '-0' ? value : String(Number(value))];
      return [key, value];
    }),
  );
}

const isEmpty = (fields: GoFields): boolean =>
  Object.values(fields).every((value) =>
    typeof value === 'object' && value !== null
      ? isEmpty(value)
      : value === null || value === '' || value === '0',
  );

/**
 * Asserts that we read `input` as a Go node does; answers how. A message without any field of its kind is none here; Go has
 * an empty one then, which its handlers refuse. What has a key `data` is an envelope here, while the first generation
 * passes over that key.
 */
export function assertAsGo({ kind: name, data }: Input, go: GoDecoding): Agreement {
  const kind = kindNamed(name);
  let read: ReturnType<typeof unwrap>;
  try {
    read = unwrap(data, kind);
  } catch (error) {
    assert.ok(error instanceof Refusal, String(error));
    const { fields } = go.dataKeys > 0 ? go.envelope : go.direct;
    if (fields !== undefined)
      assert.ok(isEmpty(fields), `refused: ${error.message}; Go reads ${JSON.stringify(fields)}`);
    return 'refused';
  }
  const { framing, message } = read;
  const { fields, refused } = framing === 'direct' ? go.direct : go.envelope;
  assert.ok(fields !== undefined, `taken in framing ${framing}; Go says ${refused}`);
  assert.deepEqual(shown(kind.wire, message as object), shownByGo(kind.wire, fields));
  if (framing === 'direct' && go.dataKeys > 0)
    assert.ok(go.envelope.refused !== undefined, 'an envelope is passed over');
  return framing;
}
