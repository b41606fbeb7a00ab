/**
 * Somebody else's node: a plain js-libp2p GossipSub peer, as little configured as speaking with a Go node allows. It can
 * also say what no library would: messages with a forged signature, somebody else's name, any bytes at all.
 */

import { type PeerIdText, peerIdText } from '../../src/shared/net/peer-id.js';
import '../../src/shared/process/polyfill.js';

import { type GossipSub, gossipsub } from '@chainsafe/libp2p-gossipsub';
import { RPC } from '@chainsafe/libp2p-gossipsub/message';
import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys';
import { identify } from '@libp2p/identify';
import type { Libp2p, PeerId, PrivateKey } from '@libp2p/interface';
import { noise } from '@libp2p/noise';
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id';
import { ping } from '@libp2p/ping';
import { preSharedKey } from '@libp2p/pnet';
import { tcp } from '@libp2p/tcp';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { waitFor } from './wait.js';

export interface PeerOptions {
  /** Stops the peer when the test ends. */
  readonly context?: { after(fn: () => Promise<void> | void): void };
  /** Ed25519; a new one unless given. */
  readonly privateKey?: PrivateKey;
  /** 64 hex digits of a pre-shared key: joins the private network. */
  readonly sharedKey?: string;
  /** Loopback address to dial from, such as `127.0.0.2`; also the one it listens on. 127.0.0.1 unless given. */
  readonly localAddress?: string;
  /** False: does not listen. */
  readonly listen?: boolean;
  /** Topics to join at once. */
  readonly topics?: readonly string[];
  /** Identify's agent version. */
  readonly agent?: string;
  /** Milliseconds; 100 unless given, so that a mesh forms fast. */
  readonly heartbeatMs?: number;
  /** False: publishes to its mesh and direct peers alone, as Go does. */
  readonly floodPublish?: boolean;
  /** Base58 IDs. */
  readonly directPeers?: readonly string[];
}

interface PeerHeard {
  readonly topic: string;
  readonly data: Uint8Array;
  /** Author, base58. */
  readonly author: string;
  /** Propagation source, base58. */
  readonly source: string;
  /** Message id as raw bytes, hex. */
  readonly id: string;
}

/** A message as it is on the wire. */
export type RawMessage = RPC.Message;

export interface Peer {
  readonly libp2p: Libp2p<{ pubsub: GossipSub }>;
  /** Base58. */
  readonly id: PeerIdText;
  readonly privateKey: PrivateKey;
  /** First listening multiaddr with /p2p/<id>. */
  readonly address: string;
  /** Everything heard on its topics, in order. */
  readonly heard: PeerHeard[];
  subscribe(topic: string): void;
  dial(address: string): Promise<void>;
  /** Waits until `peerId`, a connected peer, is known to be subscribed to `topic` and there is a stream to send it. */
  sees(peerId: string, topic: string): Promise<void>;
  /** Signs and publishes; resolves with the number of peers it went to. */
  publish(topic: string, data: Uint8Array | string): Promise<number>;
  /** A message signed by this peer, not sent. */
  sign(topic: string, data: Uint8Array | string, sequence?: bigint): Promise<RawMessage>;
  /** Sends messages to one connected peer as they are, one RPC for all of them. Throws when there is no stream. */
  send(peerId: string, messages: readonly RawMessage[]): void;
  /** Resolves when the connected peer can take more: at once unless it does not keep up. */
  drained(peerId: string): Promise<void>;
  stop(): Promise<void>;
}

/** GossipSub's stream to a peer, which the library keeps to itself. */
interface OutboundStream {
  push(rpc: Uint8Array): void;
  readonly rawStream: { onDrain(): Promise<void> };
}

const PREFIX = Buffer.from('libp2p-pubsub:');
const bytesOf = (data: Uint8Array | string): Uint8Array =>
  typeof data === 'string' ? Buffer.from(data) : data;

/** Text of a pre-shared key file (WIRE §1). */
function sharedKeyFile(sharedKey: string): Uint8Array {
  return Buffer.from(`/key/swarm/psk/1.0.0/\n/base16/\n${sharedKey}\n`);
}

/** A message signed by `privateKey` as StrictSign wants it, with the key left out as Go leaves it out for Ed25519. */
export async function signMessage(
  privateKey: PrivateKey,
  topic: string,
  data: Uint8Array | string,
  sequence: bigint,
  withKey = false,
): Promise<RawMessage> {
  const seqno = Buffer.alloc(8);
  seqno.writeBigUInt64BE(sequence);
  const from = peerIdFromPrivateKey(privateKey).toMultihash().bytes;
  const unsigned = { from, data: bytesOf(data), seqno, topic };
  const signature = await privateKey.sign(Buffer.concat([PREFIX, RPC.Message.encode(unsigned)]));
  const key = withKey ? publicKeyToProtobuf(privateKey.publicKey) : undefined;
  return { ...unsigned, signature, ...(key === undefined ? {} : { key }) };
}

/** Starts a peer. */
export async function createPeer(options: PeerOptions = {}): Promise<Peer> {
  const privateKey = options.privateKey ?? (await generateKeyPair('Ed25519'));
  const host = options.localAddress ?? '127.0.0.1';
  const libp2p = await createLibp2p({
    privateKey,
    addresses: { listen: options.listen === false ? [] : [`/ip4/${host}/tcp/0`] },
    // net.connect takes localAddress, though libp2p's type does not name it.
    transports: [tcp({ dialOpts: { localAddress: host } as object })],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: { inboundConnectionThreshold: 10_000, maxIncomingPendingConnections: 1_000 },
    connectionMonitor: { enabled: false },
    ...(options.agent === undefined ? {} : { nodeInfo: { userAgent: options.agent } }),
    ...(options.sharedKey === undefined
      ? {}
      : { connectionProtector: preSharedKey({ psk: sharedKeyFile(options.sharedKey) }) }),
    services: {
      identify: identify(),
      ping: ping(),
      pubsub: gossipsub({
        heartbeatInterval: options.heartbeatMs ?? 100,
        allowPublishToZeroTopicPeers: true,
        ...(options.floodPublish === undefined ? {} : { floodPublish: options.floodPublish }),
        directPeers: (options.directPeers ?? []).map((id) => ({ id: peerIdFromString(id), addrs: [] })),
        msgIdFn: (message) => {
          if (message.type !== 'signed') throw new Error('unsigned message');
          const sequence = Buffer.alloc(8);
          sequence.writeBigUInt64BE(message.sequenceNumber);
          return Buffer.concat([message.from.toMultihash().bytes, sequence]);
        },
        msgIdToStrFn: (id) => Buffer.from(id).toString('hex'),
      }),
    },
  });
  const pubsub = libp2p.services.pubsub;
  const { streamsOutbound } = pubsub as unknown as { streamsOutbound: ReadonlyMap<string, OutboundStream> };
  const heard: PeerHeard[] = [];
  pubsub.addEventListener('gossipsub:message', ({ detail }) => {
    const { msg, msgId, propagationSource } = detail;
    const author = msg.type === 'signed' ? msg.from.toString() : '';
    heard.push({ topic: msg.topic, data: msg.data, author, source: propagationSource.toString(), id: msgId });
  });
  for (const topic of options.topics ?? []) pubsub.subscribe(topic);

  let sequence = BigInt(Date.now()) * 1_000_000n;
  const peer: Peer = {
    libp2p,
    id: peerIdText(libp2p.peerId),
    privateKey,
    get address() {
      const [first] = libp2p.getMultiaddrs();
      if (first === undefined) throw new Error('this peer does not listen');
      return first.toString();
    },
    heard,
    subscribe: (topic) => pubsub.subscribe(topic),
    async dial(address) {
      await libp2p.dial(multiaddr(address));
    },
    async sees(peerId, topic) {
      // Its subscriptions come on its stream to us, and may come before our stream to it is open.
      await waitFor(
        () =>
          streamsOutbound.has(peerId) &&
          pubsub.getSubscribers(topic).some((id: PeerId) => id.toString() === peerId),
        { what: `${peerId} to join ${topic}, with a stream to it` },
      );
    },
    async publish(topic, data) {
      return (await pubsub.publish(topic, bytesOf(data))).recipients.length;
    },
    sign: (topic, data, chosen) => signMessage(privateKey, topic, data, chosen ?? ++sequence),
    send(peerId, messages) {
      const stream = streamsOutbound.get(peerIdFromString(peerId).toString());
      if (stream === undefined) throw new Error(`no stream to ${peerId}`);
      stream.push(RPC.encode({ subscriptions: [], messages: [...messages] }));
    },
    async drained(peerId) {
      await streamsOutbound.get(peerId)?.rawStream.onDrain();
    },
    async stop() {
      await libp2p.stop();
    },
  };
  options.context?.after(() => peer.stop());
  return peer;
}
