/** The reference of P1: js-libp2p as its documentation sets it up, as far as it survives: strictly signed messages, an empty handler. */

import '../../src/shared/process/polyfill.js';

import { gossipsub } from '@chainsafe/libp2p-gossipsub';
import { identify } from '@libp2p/identify';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { createLibp2p } from 'libp2p';
import type { Contestant } from './target.js';

export async function plain(topic: string): Promise<Contestant> {
  const libp2p = await createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // All senders come from one address, and more than five a second.
    connectionManager: { inboundConnectionThreshold: 1000 },
    // Under this load it answers pings late, and would cut its senders.
    connectionMonitor: { abortConnectionOnPingFailure: false },
    services: { identify: identify(), ping: ping(), pubsub: gossipsub() },
  });
  let heard = 0;
  libp2p.services.pubsub.addEventListener('gossipsub:message', () => {
    heard++;
  });
  libp2p.services.pubsub.subscribe(topic);
  return {
    ready: { address: String(libp2p.getMultiaddrs()[0]), httpPort: 0, brokerSocketPath: undefined },
    processed: async () => heard,
    snapshot: async () => ({ processed: heard, accepted: heard, acknowledged: heard, byThreads: 0 }),
    pids: () => [],
    stop: async () => {
      await libp2p.stop();
    },
  };
}
