/** The two framings of a gossip message: the JSON itself, or that in base64 in a message-bus envelope. */

import { fieldsOf } from './fields.js';
import { parseObject } from './json.js';
import { Refusal } from './refusal.js';

export type Framing = 'direct' | 'message-bus';

export interface Unwrapped {
  readonly framing: Framing;
  /** The inner message's fields by folded key. */
  readonly fields: ReadonlyMap<string, unknown>;
}

/** Bytes of an envelope beside its base64: the name, which Go nodes do not bound, and JSON's own. */
const ENVELOPE_OVERHEAD = 4096;

/** The most bytes of pubsub data that can hold `innerBound` bytes of inner JSON in either framing. */
export function framedBound(innerBound: number): number {
  return Math.ceil(innerBound / 3) * 4 + ENVELOPE_OVERHEAD;
}

function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  // Buffer skips what is no base64 and takes the URL alphabet; Go takes neither.
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  if (text.length % 4 !== 0 || bytes.length !== (text.length / 4) * 3 - padding || /[-_]/.test(text)) {
    throw new Refusal('malformed', 'the envelope’s data is no base64');
  }
  return bytes;
}

/**
 * The inner message, its framing told by content: an object with a key `data` is an envelope. Throws Refusal:
 * `unknown_framing` when it is no JSON object, `malformed`, or `oversized` past `innerBound` bytes of inner JSON.
 */
export function unwrap(data: Uint8Array, innerBound: number): Unwrapped {
  if (data.length > framedBound(innerBound)) throw new Refusal('oversized', `${data.length} bytes`);
  const outer = fieldsOf(parseObject(data));
  const inner = outer.get('data');
  if (inner === undefined) {
    if (data.length > innerBound) throw new Refusal('oversized', `${data.length} bytes`);
    return { framing: 'direct', fields: outer };
  }
  if (typeof inner !== 'string') throw new Refusal('malformed', 'the envelope’s data is no text');
  const bytes = decodeBase64(inner);
  if (bytes.length > innerBound) throw new Refusal('oversized', `${bytes.length} bytes`);
  return { framing: 'message-bus', fields: fieldsOf(parseObject(bytes)) };
}

/** Frames `json` for sending. */
export function wrap(json: string, framing: Framing, clientName: string): Uint8Array {
  const bytes = Buffer.from(json);
  if (framing === 'direct') return bytes;
  return Buffer.from(`{"name":${JSON.stringify(clientName)},"data":"${bytes.toString('base64')}"}`);
}
