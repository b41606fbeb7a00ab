/** Whose cursors there are, by what a process that reads a journal is told of it. */

import { type CursorScheme, NODE_CURSORS } from './cursor-scheme.js';
import { GATEWAY_CURSORS } from './gateway-cursors.js';

export const CURSOR_SCHEMES = {
  node: NODE_CURSORS,
  gateway: GATEWAY_CURSORS,
} as const satisfies Record<string, CursorScheme>;

/** Of a node's journal, or of a gateway's. */
export type CursorsOf = keyof typeof CURSOR_SCHEMES;
