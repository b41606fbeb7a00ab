/** The two framings of a gossip message: the JSON itself, or that in base64 in a message-bus envelope. */

import type { MessageKind } from './kind.js';
import { readObject } from './object-reader.js';
import { Refusal } from './refusal.js';
import { field, type MessageOf, type WireField } from './wire-fields.js';

export type Framing = 'direct' | 'message-bus';

export interface Unwrapped<M> {
  readonly framing: Framing;
  /** As told: within Go's types, not yet within the kind's bounds. */
  readonly message: M;
  /** Bytes of the inner JSON. */
  readonly size: number;
}

/** The message bus's struct. */
const ENVELOPE = [field('name', 'text', 'name'), field('data', 'bytes', 'data')];

/** Bytes of an envelope beside its base64: the name, which Go nodes do not bound, and JSON's own. */
const ENVELOPE_OVERHEAD = 4096;

/** The most bytes of pubsub data that can hold `innerBound` bytes of inner JSON in either framing. */
export function framedBound(innerBound: number): number {
  return Math.ceil(innerBound / 3) * 4 + ENVELOPE_OVERHEAD;
}

/**
 * The message of `kind`, its framing told by content: an object with a key `data` is an envelope. Throws Refusal:
 * `unknown_framing` when it is no JSON object or has no field of the kind, `malformed`, or `oversized` past the kind's bound of
 * inner JSON. `plainOnly`: as `readObject` has it.
 */
export function unwrap<M>(data: Uint8Array, kind: MessageKind<M>, plainOnly = false): Unwrapped<M> {
  if (data.length > framedBound(kind.sizeBound)) throw new Refusal('oversized', `${data.length} bytes`);
  const { message, wrong } = readObject(data, ENVELOPE, plainOnly);
  const inner = (message as MessageOf<typeof ENVELOPE>).data;
  // Whoever has no envelope may have a name of any sort.
  if (inner === undefined && !wrong.some(({ name }) => name === 'data')) {
    return { framing: 'direct', message: messageOf(data, kind, plainOnly), size: data.length };
  }
  refuseWrong(wrong);
  const json = inner as Uint8Array;
  return { framing: 'message-bus', message: messageOf(json, kind, plainOnly), size: json.length };
}

/** The message of `kind` in `json`. Throws Refusal as `unwrap` does. */
function messageOf<M>(json: Uint8Array, kind: MessageKind<M>, plainOnly: boolean): M {
  if (json.length > kind.sizeBound) throw new Refusal('oversized', `${json.length} bytes`);
  const { message, known, wrong } = readObject(json, kind.wire, plainOnly);
  refuseWrong(wrong);
  if (known === 0 && kind.wire.length > 0) throw new Refusal('unknown_framing', 'no field of its kind');
  return message as M;
}

function refuseWrong([first]: readonly WireField[]): void {
  if (first !== undefined) throw new Refusal('malformed', `${first.direct} is no ${first.type}`);
}

/** Frames `json` for sending. */
export function wrap(json: string, framing: Framing, clientName: string): Uint8Array {
  const bytes = Buffer.from(json);
  if (framing === 'direct') return bytes;
  return Buffer.from(`{"name":${JSON.stringify(clientName)},"data":"${bytes.toString('base64')}"}`);
}
