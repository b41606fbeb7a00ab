/** The process of `startPeerProcess`. Arguments: topics. Prints its address; ends with its parent. */

import { createPeer } from '../peer.js';

const peer = await createPeer({ topics: process.argv.slice(2) });
process.stdout.write(`${peer.address}\n`);
process.stdin.on('end', () => process.exit(0)).resume();
