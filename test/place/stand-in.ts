/** The services around a node's P2P service, for who wants to run one beside them by hand or from another test: a JSON line when all answer; ends with its standard input. */

import { SharedByTests } from '../support/temporary.js';
import { startBus, Teranode } from './teranode.js';

const context = new SharedByTests();
try {
  const teranode = await Teranode.start(context);
  // Calls the P2P service of this machine as soon as that has a key, which only that knows: `connect` is the caller's to say.
  const peer = await startBus(context, { name: 'stand-in peer' });
  console.log(
    JSON.stringify({
      ready: true,
      tip: teranode.tip,
      height: teranode.height,
      peer: { id: peer.id, address: peer.address },
      kafka: teranode.kafka.brokers,
    }),
  );
  process.stdin.setEncoding('utf8');
  // One address a line: the peer connects to it, and announces a block there.
  let waiting = '';
  for await (const text of process.stdin) {
    waiting += text;
    for (let end = waiting.indexOf('\n'); end !== -1; end = waiting.indexOf('\n')) {
      const address = waiting.slice(0, end).trim();
      waiting = waiting.slice(end + 1);
      if (address === '') continue;
      try {
        await peer.connect(address);
        console.log(JSON.stringify({ connected: address }));
      } catch (error) {
        console.log(JSON.stringify({ failed: String(error) }));
      }
    }
  }
} finally {
  await context.clean();
}
