/** Two nodes of this server and what there is between them. */

import type { TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { Connection, Stream } from '@libp2p/interface';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { BLOCK, createTestNode, type TestNode, type TestNodeOptions } from './node.js';
import { freePorts } from './ports.js';
import { waitFor } from './wait.js';

export type Pair = readonly [TestNode, TestNode];

export const hostOf = ({ node }: TestNode) => node.inspect().host!;
export const gossipOf = (test: TestNode) => hostOf(test).services.pubsub;

/** Open connections to a peer, base58. */
export const connectionsTo = (from: TestNode, peer: string): Connection[] =>
  hostOf(from)
    .getConnections(peerIdFromString(peer))
    .filter(({ status }) => status === 'open');

/** The gossip stream on which `at` hears a peer, base58. */
export const inboundOf = (at: TestNode, peer: string): Stream | undefined =>
  gossipOf(at).streamsInbound.get(peer)?.rawStream;
/** The gossip stream on which `at` speaks to a peer, base58. */
export const outboundOf = (at: TestNode, peer: string): Stream | undefined =>
  gossipOf(at).streamsOutbound.get(peer)?.rawStream;

/** Each with the other, both ways round. */
export const eachOf = ([one, two]: Pair): readonly Pair[] => [
  [one, two],
  [two, one],
];

/** Two nodes that accept what they hear. */
export async function createPair(context: TestContext, options: TestNodeOptions = {}): Promise<Pair> {
  return [
    await createTestNode(context, { verdict: 'accept', ...options }),
    await createTestNode(context, { verdict: 'accept', ...options }),
  ];
}

/** Two nodes that have one another as static peers, started at the same time. */
export async function createStaticPair(context: TestContext, options: TestNodeOptions = {}): Promise<Pair> {
  const ports = await freePorts(2);
  const keys = await Promise.all(ports.map(() => generateKeyPair('Ed25519')));
  const addresses = keys.map(
    (key, index) => `/ip4/127.0.0.1/tcp/${ports[index]}/p2p/${peerIdFromPrivateKey(key)}`,
  );
  const [one, two] = await Promise.all(
    keys.map((privateKey, index) =>
      createTestNode(context, {
        verdict: 'accept',
        ...options,
        privateKey,
        settings: {
          ...options.settings,
          p2p_port: Number(ports[index]),
          p2p_static_peers: [addresses[1 - index]!],
        },
      }),
    ),
  );
  return [one!, two!];
}

/** Waits until each has a gossip stream to the other and one from it. */
export async function acquainted(pair: Pair): Promise<void> {
  for (const [at, { node }] of eachOf(pair)) {
    await waitFor(
      () =>
        [inboundOf(at, node.peerId), outboundOf(at, node.peerId)].every((each) => each?.status === 'open'),
      { what: 'gossip streams both ways' },
    );
  }
}

/** Waits for so many of a node's, 100 ms each. */
export async function heartbeats(node: TestNode, count: number): Promise<void> {
  let beats = 0;
  const beat = () => beats++;
  gossipOf(node).addEventListener('gossipsub:heartbeat', beat);
  await waitFor(() => beats >= count, { what: `${count} heartbeats` });
  gossipOf(node).removeEventListener('gossipsub:heartbeat', beat);
}

/** Waits until both have one connection to the other. */
export async function oneConnectionLeft(pair: Pair): Promise<Connection> {
  await waitFor(() => eachOf(pair).every(([at, { node }]) => connectionsTo(at, node.peerId).length === 1), {
    what: 'one connection to be left',
  });
  const [connection] = connectionsTo(pair[0], pair[1].node.peerId);
  return connection!;
}

let spoken = 0;

/** Waits until each hears the other. What is published while a stream is away is gone, so it is said until it is heard. */
export async function speakBothWays(pair: Pair): Promise<void> {
  await Promise.all(
    eachOf(pair).map(async ([from, to]) => {
      const word = `word ${spoken++}:`;
      await waitFor(
        async () => {
          await from.node.publish(BLOCK, Buffer.from(`${word} ${spoken++}`));
          return to.heard.some(({ data }) => Buffer.from(data).toString().startsWith(word));
        },
        { what: 'it to be heard', everyMs: 20 },
      );
    }),
  );
}

/** Both dial at the same time. Resolves with the most connections that there were at once. */
export async function meetAtOnce(pair: Pair): Promise<number> {
  let most = 0;
  const count = () => {
    most = Math.max(most, ...eachOf(pair).map(([at, { node }]) => connectionsTo(at, node.peerId).length));
  };
  for (const each of pair) hostOf(each).addEventListener('connection:open', count);
  await Promise.all(eachOf(pair).map(([at, other]) => at.node.connect(other.address)));
  await acquainted(pair);
  for (const each of pair) hostOf(each).removeEventListener('connection:open', count);
  return most;
}

/** Waits until there is no connection any more. */
export async function part(pair: Pair): Promise<void> {
  await pair[0].node.disconnect(pair[1].node.peerId);
  await waitFor(() => eachOf(pair).every(([at, { node }]) => connectionsTo(at, node.peerId).length === 0), {
    what: 'the end of the connection',
  });
}
