/**
 * The table of message kinds. Subscribing, checking, forwarding, metrics labels and documentation read it; a kind crosses
 * threads as its index here. A new kind is one file and one line.
 */

import { bestblock } from './bestblock.js';
import { block } from './block.js';
import { handshake } from './handshake.js';
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

/** Position of the kind called `name` in `kinds`. Throws RangeError when there is none. */
export function kindIndex(name: string, kinds: readonly MessageKind[] = MESSAGE_KINDS): number {
  const index = kinds.findIndex((kind) => kind.name === name);
  if (index === -1) throw new RangeError(`no message kind ${name}`);
  return index;
}

export { bestblock, block, handshake, miningOn, nodeStatus, rejectedTx, subtree };
