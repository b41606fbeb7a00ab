/** What gossip tests ask of whole servers: peers in their mesh, strangers' messages, the figures of a scrape, the frames by number. */

import type { TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { gossipTopic } from '../../src/shared/bitcoin/networks.js';
import { FrameStreamClient } from '../../src/shared/feed/stream-client.js';
import { localSocketPath } from '../../src/shared/ipc/socket-path.js';
import { frameOf } from '../../src/shared/journal/entry.js';
import type { MessageKind } from '../../src/shared/messages/kind.js';
import { type PeerIdText, peerIdText } from '../../src/shared/net/peer-id.js';
import { createPeer, type Peer, type PeerOptions, type RawMessage, signMessage } from './peer.js';
import { sampleData } from './sample-messages.js';
import type { TestServer } from './server.js';
import { waitFor } from './wait.js';

/** The topic of `kind` on the network of `server`. */
export function topicOf(
  { settings }: Pick<TestServer, 'settings'>,
  kind: Pick<MessageKind, 'topic'>,
): string {
  return gossipTopic(settings, kind);
}

/** Members of the server's mesh for `topic`. */
export function meshOf({ server }: TestServer, topic: string): readonly string[] {
  return server.parts.node.inspect().host?.services.pubsub.getMeshPeers(topic) ?? [];
}

/** A plain peer, connected, with a stream to the server, and in its mesh for every topic that it joins. */
export async function joinPeer(
  context: Pick<TestContext, 'after'>,
  server: TestServer,
  options: PeerOptions = {},
): Promise<Peer> {
  const peer = await createPeer({ context, ...options });
  await peer.dial(server.address);
  for (const topic of options.topics ?? []) {
    await peer.sees(server.server.peerId, topic);
    await waitFor(() => meshOf(server, topic).includes(peer.id), { what: `a place in the mesh of ${topic}` });
  }
  return peer;
}

/** Somebody who signs messages and is connected to nobody. */
export interface Stranger {
  readonly id: PeerIdText;
  readonly key: PrivateKey;
  /** Signs with the next sequence number. */
  sign(topic: string, data: Uint8Array | string): Promise<RawMessage>;
}

export async function createStranger(): Promise<Stranger> {
  const key = await generateKeyPair('Ed25519');
  let sequence = BigInt(Date.now()) * 1_000_000n;
  return {
    id: peerIdText(peerIdFromPrivateKey(key)),
    key,
    sign: (topic, data) => signMessage(key, topic, data, ++sequence),
  };
}

/** A 64-digit hash that is the same for the same `n` alone. */
export const hashOf = (n: number): string => (n + 1).toString(16).padStart(64, '0');
/** The `n` of such a hash. */
export const numberOf = (hash: unknown): number => Number.parseInt(String(hash), 16) - 1;

/** A subtree announced by `author`, framed. */
export const subtreeData = (author: string, n: number, changes: object = {}): Uint8Array =>
  sampleData('subtree', { hash: hashOf(n), peerId: author, ...changes }, 'message-bus', author);

/** One series of a metric in the text of a scrape. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Every series of `name` in a scrape. */
export function samplesOf(scrape: string, name: string): Sample[] {
  return scrape.split('\n').flatMap((line) => {
    const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (parts?.[1] !== name) return [];
    const labels = [...(parts[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, value]) => [
      key,
      value,
    ]);
    return [{ labels: Object.fromEntries(labels) as Record<string, string>, value: Number(parts[3]) }];
  });
}

/** Sum of the series of `name` that have these labels. */
export function sumOf(scrape: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  return samplesOf(scrape, name)
    .filter((sample) => Object.entries(labels).every(([key, value]) => sample.labels[key] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

/** What became of the messages so far, by `<kind> <outcome>`, from main's own registry: cheap enough to look often. */
export async function outcomesOf({ dependencies }: TestServer): Promise<Map<string, number>> {
  const metric = await dependencies.registry.getSingleMetric('teranode_p2p_messages_total')?.get();
  return new Map(metric?.values.map(({ labels, value }) => [`${labels.kind} ${labels.outcome}`, value]));
}

/** The outcomes of one kind's messages that came since `before`; of node_status, what the server says itself is left out. */
export async function outcomesSince(
  server: TestServer,
  before: ReadonlyMap<string, number>,
  kind: string,
): Promise<Record<string, number>> {
  const now = await outcomesOf(server);
  return Object.fromEntries(
    [...now]
      .filter(([key]) => key.startsWith(`${kind} `) && key !== 'node_status ok')
      .map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const)
      .filter(([, more]) => more > 0),
  );
}

export interface NumberedFrames {
  /** Sequence numbers and contents, as the publisher serves them to a notification server. */
  readonly frames: {
    readonly seq: number;
    readonly epoch: string;
    readonly fields: Record<string, unknown>;
  }[];
  /** How often frames were missed. */
  gaps: number;
}

/** Listens where the notification servers do. */
export function numberedFrames(context: Pick<TestContext, 'after'>, server: TestServer): NumberedFrames {
  const heard: NumberedFrames = { frames: [], gaps: 0 };
  const client = new FrameStreamClient(
    {
      logger: server.dependencies.logger,
      handlers: {
        frames: (entries) => {
          const epoch = client.position?.epoch ?? '';
          for (const { seq, bytes } of entries)
            heard.frames.push({ seq, epoch, fields: JSON.parse(Buffer.from(frameOf(bytes)).toString()) });
        },
        gap: () => {
          heard.gaps++;
        },
        ownStatus: () => {},
      },
    },
    { socketPath: localSocketPath(server.dependencies.directory.path, 'frames.sock') },
  );
  client.start();
  context.after(() => client.stop());
  return heard;
}
