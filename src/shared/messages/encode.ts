/** What this node sends. */

import { type Framing, wrap } from './framing.js';
import { stringify } from './json.js';
import { forwardBoundOf, type MessageKind } from './kind.js';
import { toldName } from './text.js';
import { zeroOf } from './wire-fields.js';

/**
 * A message of `kind` as pubsub data: every key, in the table's order and the framing's spelling, empty or not, but for
 * those that are left out when empty; 64-bit integers unrounded. Throws RangeError on one that is larger than what every node
 * takes.
 */
export function encodeMessage<M extends object>(
  kind: Pick<MessageKind<M>, 'name' | 'wire' | 'sizeBound' | 'forwardBound'>,
  message: Partial<M>,
  framing: Framing,
  clientName: string,
): Uint8Array {
  const json = messageJson(kind, message, framing);
  const size = Buffer.byteLength(json);
  if (size > forwardBoundOf(kind)) {
    throw new RangeError(`a ${kind.name} of ${size} bytes is more than other nodes take`);
  }
  return wrap(json, framing, toldName(clientName));
}

/** The inner JSON of `encodeMessage`; the answer to a best-block request on the direct stream is this alone. */
export function messageJson<M extends object>(
  kind: Pick<MessageKind<M>, 'wire'>,
  message: Partial<M>,
  framing: Framing,
): string {
  const values = message as Readonly<Record<string, unknown>>;
  const members: string[] = [];
  for (const field of kind.wire) {
    const { name, direct, bus, omitEmpty } = field;
    const zero = zeroOf(field);
    const value = values[name] ?? zero;
    if (value === undefined || (omitEmpty && (value === zero || value === 0n))) continue;
    members.push(`"${framing === 'direct' ? direct : bus}":${stringify(value)}`);
  }
  return `{${members.join(',')}}`;
}
