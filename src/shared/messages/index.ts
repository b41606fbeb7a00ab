/**
 * The table of message kinds. Subscribing, checking, forwarding, metrics labels and documentation read it; a kind crosses
 * threads and goes to disk as its id. A new kind is one file and one line.
 */

import { bestblock } from './bestblock.js';
import { block } from './block.js';
import { handshake } from './handshake.js';
import { byId } from './ids.js';
import type { MessageKind } from './kind.js';
import { miningOn } from './mining-on.js';
import { nodeStatus } from './node-status.js';
import { rejectedTx } from './rejected-tx.js';
import { subtree } from './subtree.js';

export const MESSAGE_KINDS: readonly MessageKind[] = [
  bestblock,
  block,
  subtree,
  miningOn,
  rejectedTx,
  nodeStatus,
  handshake,
];

export const KINDS_BY_ID = byId(MESSAGE_KINDS);

/** The kind called `name` in `kinds`. Throws RangeError when there is none. */
export function kindNamed(name: string, kinds: readonly MessageKind[] = MESSAGE_KINDS): MessageKind {
  const found = kinds.find((kind) => kind.name === name);
  if (found === undefined) throw new RangeError(`no message kind ${name}`);
  return found;
}

export { bestblock, block, handshake, miningOn, nodeStatus, rejectedTx, subtree };
