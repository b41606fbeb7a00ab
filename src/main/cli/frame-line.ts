/** One frame of the feed as a line for a person. */

import { wall } from '../../shared/clock.js';
import { printable, short, type Terminal } from './terminal.js';

/** What a frame may hold; all of it comes from outside. */
export type FeedFrame = Readonly<Record<string, unknown>>;

const COLOURS = {
  block: 'green',
  subtree: 'cyan',
  mining_on: 'yellow',
  rejected_tx: 'red',
  node_status: 'gray',
} as const;

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

export function kindLabel(kind: string, terminal: Terminal): string {
  const colour = COLOURS[kind as keyof typeof COLOURS] ?? 'white';
  return terminal.style(colour, kind.padEnd(11));
}

/** `#7`; empty for 0, which stands for not known. */
export function heightLabel(height: string): string {
  return height === '' || height === '0' ? '' : `#${height}`;
}

export function frameLine(frame: FeedFrame, terminal: Terminal): string {
  const kind = field(frame, 'type');
  const height = field(frame, 'height') || field(frame, 'best_height');
  return [
    terminal.style('dim', new Date(wall.shown()).toISOString().slice(11, 23)),
    kindLabel(kind, terminal),
    short(field(frame, 'hash') || field(frame, 'best_block_hash')).padEnd(15),
    heightLabel(height).padEnd(8),
    short(field(frame, 'peer_id')).padEnd(15),
    field(frame, 'reason') || field(frame, 'base_url'),
    field(frame, 'client_name'),
  ]
    .join(' ')
    .trimEnd();
}
