/** One frame of the feed as a line for a person. */

import { wall } from '../../shared/clock.js';
import { FRAME_KINDS } from '../../shared/messages/index.js';
import type { Shown } from '../../shared/messages/shown.js';
import { printable, short, type Terminal } from './terminal.js';

/** What a frame may hold; all of it comes from outside. */
export type FeedFrame = Readonly<Record<string, unknown>>;

const SHOWN = new Map(FRAME_KINDS.map(({ name, shown }) => [name, shown]));
const KIND_WIDTH = Math.max(...FRAME_KINDS.map(({ name }) => name.length));

/** A frame's field as text; empty when it is not there. */
export function field(frame: FeedFrame, name: string): string {
  const value = frame[name];
  return typeof value === 'string' || typeof value === 'number' ? printable(String(value)).slice(0, 256) : '';
}

/** The frame that `data` holds, or `undefined` when it is none. */
export function parseFrame(data: string): FeedFrame | undefined {
  try {
    const value: unknown = JSON.parse(data);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as FeedFrame)
      : undefined;
  } catch {
    return undefined;
  }
}

/** How frames of a kind are shown; nothing is said of a kind that nobody knows. */
export function shownOf(kind: string): Partial<Shown> {
  return SHOWN.get(kind) ?? {};
}

export function kindLabel(kind: string, terminal: Terminal): string {
  return terminal.style(shownOf(kind).colour?.terminal ?? 'white', kind.padEnd(KIND_WIDTH));
}

/** `#7`; empty for 0, which stands for not known. */
export function heightLabel(height: string): string {
  return height === '' || height === '0' ? '' : `#${height}`;
}

export function frameLine(frame: FeedFrame, terminal: Terminal): string {
  const kind = field(frame, 'type');
  const { hash = 'hash', height = 'height', text = 'base_url' } = shownOf(kind);
  const received = Date.parse(field(frame, 'received_at'));
  return [
    terminal.style('dim', new Date(received || wall.shown()).toISOString().slice(11, 23)),
    kindLabel(kind, terminal),
    short(field(frame, hash)).padEnd(15),
    heightLabel(field(frame, height)).padEnd(8),
    short(field(frame, 'peer_id')).padEnd(15),
    field(frame, text),
    field(frame, 'client_name'),
  ]
    .join(' ')
    .trimEnd();
}
