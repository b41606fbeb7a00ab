/** The table of message kinds: a line each, naming the file that holds all that is particular to it. */

export { bestblock } from './bestblock.js';
export { block } from './block.js';
export { handshake } from './handshake.js';
export { miningOn } from './mining-on.js';
export { nodeStatus } from './node-status.js';
export { rejectedTx } from './rejected-tx.js';
export { subtree } from './subtree.js';
