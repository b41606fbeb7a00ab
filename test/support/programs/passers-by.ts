/**
 * Peers that come to a server one after the other, have a message of theirs accepted, and leave. Arguments: the server's multiaddr, how many, and the topic on which
 * each announces a subtree. Prints the ID of each once it has left, from its end to its beginning, and ends with its parent.
 */

import { subtreeData } from '../gossip.js';
import { createPeer } from '../peer.js';

const [address = '', count = '0', topic = ''] = process.argv.slice(2);
const server = address.slice(address.lastIndexOf('/') + 1);
process.stdin.on('end', () => process.exit(0)).resume();
for (let n = 0; n < Number(count); n++) {
  const peer = await createPeer({ topics: [topic], listen: false });
  await peer.dial(address);
  await peer.sees(server, topic);
  await peer.publish(topic, subtreeData(peer.id, n));
  await peer.drained(server);
  await peer.stop();
  process.stdout.write(`${[...peer.id].reverse().join('')}\n`);
}
process.stdout.write('all\n');
