/** A peer that speaks GossipSub's protocol without GossipSub: it costs as little as an encrypted libp2p stream can. */

import '../../src/shared/process/polyfill.js';

import { identify } from '@libp2p/identify';
import type { Connection, PrivateKey, Stream } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { ping } from '@libp2p/ping';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2p } from 'libp2p';
import { subscription } from './traffic.js';

const PROTOCOLS = ['/meshsub/1.2.0', '/meshsub/1.1.0', '/meshsub/1.0.0'];

export interface JoinOptions {
  readonly key: PrivateKey;
  /** Multiaddr of the node, with its peer ID. */
  readonly address: string;
  readonly topic: string;
}

export interface Joined {
  readonly libp2p: Libp2p;
  readonly connection: Connection;
  /** What is written to it is RPCs, length first. */
  readonly stream: Stream;
}

/** Connected, with a stream each way, and subscribed to the topic. What comes is read and left alone. Rejects where the node takes none. */
export async function joinTopic({ key, address, topic }: JoinOptions): Promise<Joined> {
  const libp2p = await createLibp2p({
    privateKey: key,
    addresses: { listen: [] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
    services: { identify: identify(), ping: ping() },
  });
  try {
    // Before it has a stream to us, GossipSub does not know us as a peer.
    let heard = () => {};
    const known = new Promise<void>((resolve) => {
      heard = resolve;
    });
    await libp2p.handle(PROTOCOLS, (incoming: Stream, _: Connection) => {
      incoming.addEventListener('message', () => {});
      heard();
    });
    const connection = await libp2p.dial(multiaddr(address));
    const closed = new Promise<never>((_, reject) => {
      connection.addEventListener('close', () => reject(new Error('the node closed the connection')));
    });
    // Also when it is closed later, which whoever uses it sees.
    closed.catch(() => {});
    await Promise.race([known, closed]);
    const stream = await connection.newStream(PROTOCOLS, { negotiateFully: true });
    stream.send(subscription(topic));
    return { libp2p, connection, stream };
  } catch (error) {
    await libp2p.stop();
    throw error;
  }
}
