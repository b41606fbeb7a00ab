/** Load: many peers in a process of their own, each connected to one node and subscribed to a topic, and silent. */

import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { monotonic } from '../../src/shared/clock.js';
import { type Joined, joinTopic } from './join-topic.js';

export type CrowdOrder =
  | { readonly type: 'join'; readonly address: string; readonly topic: string; readonly peers: number }
  | { readonly type: 'count' };

export type CrowdReport =
  | { readonly type: 'joined' }
  /** Peers whose connection is open. */
  | { readonly type: 'count'; readonly open: number };

/** Handshakes at once: fewer than a node has places for. */
const AT_ONCE = 2;
/** So long a peer tries again: on a busy machine a handshake may take longer than the node waits. */
const TRIES_MS = 60_000;
const AGAIN_MS = 500;

const crowd: Joined[] = [];
const report = (message: CrowdReport) => process.send?.(message);

async function joined(address: string, topic: string): Promise<Joined> {
  for (const from = monotonic(); ; await delay(AGAIN_MS)) {
    try {
      return await joinTopic({ key: await generateKeyPair('Ed25519'), address, topic });
    } catch (error) {
      if (monotonic() - from > TRIES_MS) throw error;
    }
  }
}

async function follow(order: CrowdOrder): Promise<void> {
  switch (order.type) {
    case 'join': {
      let left = order.peers;
      const { address, topic } = order;
      const join = async () => {
        while (left-- > 0) crowd.push(await joined(address, topic));
      };
      await Promise.all(Array.from({ length: AT_ONCE }, join));
      report({ type: 'joined' });
      break;
    }
    case 'count': {
      const open = crowd.filter(({ connection }) => connection.status === 'open').length;
      report({ type: 'count', open });
      break;
    }
  }
}

process.on('message', (order: CrowdOrder) => {
  follow(order).catch((error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
