/** What a reader of the feed was told over one connection, as it came. */

import { asyncApiDocument } from '../../../src/workers/websocket-server/documents/asyncapi.js';
import { frameValidator } from '../frame-validator.js';
import type { Start } from './wish.js';

export type Item =
  /** `text` is its JSON. */
  | { readonly type: 'frame'; readonly text: string }
  | {
      readonly type: 'hello' | 'info' | 'cursor' | 'error';
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly type: 'ping' };

/** With what a request was answered that was not served. */
export interface Refusal {
  /** Of HTTP. */
  readonly status: number;
  /** Of the problem. */
  readonly code: string;
  /** The kinds that there are for it. */
  readonly kinds?: readonly string[];
  /** How to authenticate. */
  readonly authenticate?: string | undefined;
}

export interface Heard {
  /** Of the server's lives, in which it was. */
  readonly life: number;
  readonly query: string;
  /** What was asked for; undefined: nothing. */
  readonly start: Start | undefined;
  readonly items: Item[];
  /** Editions of the file of tokens: that with which its server began, and the newest when it was answered and when it was over. */
  readonly editions: { readonly began: number; answered: number; over: number };
  refusal?: Refusal;
  /** Of a WebSocket that is closed. */
  closeCode?: number;
  /** Something that no server may send. */
  fault?: string;
  open: boolean;
  /** It was open. */
  served: boolean;
  /** Announcements that it must have had when the server came to rest: all that it asked for, up to there. */
  rest?: readonly string[];
}

const CONTROL = new Set(['hello', 'info', 'cursor', 'error']);

const validate = frameValidator(JSON.parse(JSON.stringify(asyncApiDocument())));

/** One frame or control frame. Throws where it is no JSON, or not as the AsyncAPI document has it. */
export function itemOf(text: string): Item {
  const { message, faults } = validate(text);
  if (faults.length > 0)
    throw new Error(`no ${message} of the document: ${faults.join('; ')}: ${text.slice(0, 500)}`);
  const fields = JSON.parse(text) as Record<string, unknown>;
  const { type } = fields;
  if (type === 'PING') return { type: 'ping' };
  if (typeof type === 'string' && CONTROL.has(type))
    return { type: type as 'hello' | 'info' | 'cursor' | 'error', fields };
  return { type: 'frame', text };
}

/** The cursor behind the last thing that was told; undefined where none was. */
export function lastCursor({ items }: Pick<Heard, 'items'>): string | undefined {
  for (const item of items.toReversed()) {
    if (item.type === 'ping') continue;
    const { cursor } = (item.type === 'frame' ? JSON.parse(item.text) : item.fields) as { cursor?: string };
    if (cursor !== undefined) return cursor;
  }
  return undefined;
}
