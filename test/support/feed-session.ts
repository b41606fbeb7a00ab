/**
 * A session of the feed as a client without parameters has it, byte for byte: the same announcements of every kind, from the same peer, to a
 * whole server in processes of its own, and all that a raw socket gets of it. What no two sessions have alike is written `<time>` or
 * `<seconds>` in its place. What the server says of itself, when its own clock has it do so, is told apart from what it passes on.
 */

import { connect, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { topicOf } from './gossip.js';
import { createPeer, type Peer } from './peer.js';
import { mineHeader, sampleData } from './sample-messages.js';
import { launchServer } from './server-process.js';
import { settingsOf } from './settings.js';
import { waitFor } from './wait.js';

/** Each frame is its first byte, in hex, a blank, and its payload. */
export interface FeedSession {
  /** Lines of the answer to the opening handshake. */
  readonly handshake: readonly string[];
  /** The first frame, then what the peer announced. */
  readonly frames: readonly string[];
  /** The server's own statuses, each once, and without the number of its peers, which the session changes. */
  readonly statuses: readonly string[];
  /** The server's text ping, whenever it came. */
  readonly textPing: string;
  /** What answers a ping of the client's. */
  readonly pong: string;
  /** What another client gets that comes later, and ends with a close frame. */
  readonly later: readonly string[];
  /** What comes when the server stops. */
  readonly end: readonly string[];
}

const SERVER_SEED = Buffer.alloc(32, 1);
const PEER_SEED = Buffer.alloc(32, 2);
/** Said to the server, for the network's own has another name by now. */
const TOPIC_PREFIX = 'recorded';
const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** The key of a node as the setting takes it: seed and public key, hex. */
async function privateKeyOf(seed: Uint8Array): Promise<string> {
  return Buffer.from((await generateKeyPairFromSeed('Ed25519', seed)).raw).toString('hex');
}

/** A masked frame of less than 126 bytes. */
function clientFrame(opcode: number, payload: Buffer): Buffer {
  const masked = payload.map((byte, index) => byte ^ Number(MASK[index % 4]));
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length]), MASK, masked]);
}

/** One client on a raw socket. */
class RawClient {
  readonly frames: string[] = [];
  handshake: readonly string[] = [];
  ended = false;
  #bytes = Buffer.alloc(0);

  constructor(
    private readonly socket: Socket,
    private readonly shown: (frame: string) => string,
  ) {
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#read();
    });
    socket.on('error', () => {});
    for (const event of ['end', 'close']) socket.on(event, () => (this.ended = true));
  }

  send(opcode: number, payload: Buffer | string): void {
    this.socket.write(clientFrame(opcode, Buffer.from(payload)));
  }

  #read(): void {
    if (this.handshake.length === 0) {
      const end = this.#bytes.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.handshake = this.#bytes.toString('latin1', 0, end).split('\r\n');
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    for (let frame = this.#next(); frame !== undefined; frame = this.#next())
      this.frames.push(this.shown(frame));
  }

  #next(): string | undefined {
    const bytes = this.#bytes;
    if (bytes.length < 2) return undefined;
    const [first = 0, short = 0] = bytes;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (bytes.length < start) return undefined;
    const length =
      short < 126 ? short : short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    // RFC 6455, section 5.2: unmasked, and the length in the fewest bytes.
    if (short > 127 || (start === 4 && length < 126) || (start === 10 && length < 65_536))
      throw new Error(`a frame begins with ${bytes.toString('hex', 0, start)}`);
    if (bytes.length < start + length) return undefined;
    this.#bytes = bytes.subarray(start + length);
    // Of a close frame the first two bytes are its code.
    const payload = bytes.subarray(start, start + length);
    const text =
      first === 0x88 && length >= 2 ? `${payload.readUInt16BE(0)} ${payload.subarray(2)}` : payload;
    return `${first.toString(16)} ${text}`;
  }
}

async function come(
  context: Pick<TestContext, 'after'>,
  port: number,
  shown: (frame: string) => string,
): Promise<RawClient> {
  const socket = connect(port, '127.0.0.1');
  context.after(() => socket.destroy());
  const client = new RawClient(socket, shown);
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write(
    'GET /p2p-ws HTTP/1.1\r\nHost: node.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`,
  );
  await waitFor(() => client.frames.length > 0, { what: 'the first frame' });
  return client;
}

/** What is announced, in this order: each kind in both framings, and texts that JSON writes in more than one way. */
function announcements(author: string): readonly (readonly [kind: string, data: Uint8Array | string])[] {
  const hash = (digit: string) => digit.repeat(64);
  const data = (kind: string, framing: 'direct' | 'message-bus', changes: Record<string, unknown> = {}) =>
    [kind, sampleData(kind, changes, framing, author)] as const;
  return [
    // Nobody knew `legacy_connected_peers_count` when the first session was recorded.
    data('node_status', 'direct', { legacyConnectedPeersCount: 0 }),
    data('node_status', 'message-bus', {
      legacyConnectedPeersCount: 0,
      clientName: 'a < b & c > d "e" \\ é ✓ 𝄞',
      bestHeight: 0,
      txCount: 0,
      feePolicy: undefined,
      minMiningTxFee: 0,
      storage: '',
    }),
    data('bestblock', 'direct'),
    ['handshake', '{"type":"version"}'],
    data('block', 'direct', { ...mineHeader(), height: 9 }),
    data('block', 'message-bus', { hash: hash('1'), header: '', height: 4_294_967_295 }),
    data('subtree', 'direct', { hash: hash('2') }),
    data('subtree', 'message-bus', { hash: hash('3'), clientName: 'x'.repeat(60) }),
    data('mining_on', 'direct', { hash: hash('4') }),
    data('mining_on', 'message-bus', { hash: hash('5'), miner: '</script>\u2028', sizeInBytes: 0n }),
    data('rejected_tx', 'direct', { txId: hash('6') }),
    data('rejected_tx', 'message-bus', { txId: hash('7'), reason: `tx '${'ß'.repeat(300)}' <&>` }),
  ];
}

/** RFC 9110, section 5.6.7. */
const HTTP_DATE = /^Date: [A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
const WITHOUT_FRAME = ['bestblock', 'handshake'];

async function announce(peer: Peer, server: string, client: RawClient): Promise<void> {
  const settings = settingsOf({ p2p_topic_prefix: TOPIC_PREFIX });
  for (const [name, data] of announcements(peer.id)) {
    const kind = MESSAGE_KINDS.find((each) => each.name === name);
    if (kind === undefined) throw new Error(`no kind ${name}`);
    const topic = topicOf({ settings }, kind);
    await peer.sees(server, topic);
    const before = fromPeer(client, peer).length;
    await peer.publish(topic, data);
    if (WITHOUT_FRAME.includes(name)) continue;
    await waitFor(() => fromPeer(client, peer).length > before, { what: `a frame of ${name}` });
  }
}

const fromPeer = ({ frames }: RawClient, { id }: Peer) => frames.filter((frame) => frame.includes(id));
const isTextPing = (frame: string) => frame.includes('"type":"PING"');

/** Plays the session with a server of the build in `root`, and `set`tings besides its own. */
export async function playFeedSession(
  context: Pick<TestContext, 'after'>,
  { root = '.', set = {} }: { readonly root?: string; readonly set?: Readonly<Record<string, string>> },
): Promise<FeedSession> {
  const run = launchServer(context, {
    root,
    set: {
      p2p_private_key: await privateKeyOf(SERVER_SEED),
      p2p_topic_prefix: TOPIC_PREFIX,
      clientName: 'recorded <node>',
      version: 'v1',
      commit: 'c0ffee',
      p2p_notification_servers: '1',
      p2p_node_status_interval: '1h',
      asset_httpAddress: 'https://node.example:8090/api/v1',
      ...set,
    },
  });
  const { ports, peerId } = await run.ready();
  const shown = (frame: string) => withoutTimes(frame, peerId);
  const client = await come(context, ports.http, shown);
  const peer = await createPeer({
    context,
    privateKey: await generateKeyPairFromSeed('Ed25519', PEER_SEED),
  });
  await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
  await announce(peer, peerId, client);

  client.send(1, 'what a client says does not matter');
  client.send(9, 'ping');
  const pong = await waitFor(() => client.frames.find((frame) => frame.startsWith('8a')), { what: 'a pong' });
  const textPing = await waitFor(() => client.frames.find(isTextPing), {
    what: 'a text ping',
    timeoutMs: 30_000,
  });
  // The block that was announced is its best by now, which later clients are told first.
  const isOwn = (frame: string) => frame.includes('"type":"node_status"') && frame.includes(peerId);
  await waitFor(() => client.frames.some((frame) => isOwn(frame) && frame.includes('"best_height":9,')), {
    what: 'the server to say what its best block is',
  });
  const later = await come(context, ports.http, shown);
  later.send(8, Buffer.from('\x03\xe8bye', 'latin1'));
  await waitFor(() => later.ended, { what: 'the end of the later client' });
  const heard = client.frames.length;
  run.child.kill('SIGTERM');
  await waitFor(() => client.ended, { what: 'the end of the feed' });
  const [first = '', ...frames] = client.frames.slice(0, heard).filter((frame) => frame !== pong);
  const without = (frame: string) => frame.replace(/"connected_peers_count":\d+,/, '');
  return {
    handshake: client.handshake.map((line) => line.replace(HTTP_DATE, 'Date: <time>')),
    frames: [first, ...frames.filter((frame) => !isOwn(frame) && !isTextPing(frame))],
    statuses: [...new Set([first, ...frames].filter(isOwn).map(without))],
    textPing,
    pong,
    later: later.frames.filter((frame) => !isTextPing(frame)),
    end: client.frames.slice(heard).filter((frame) => !isTextPing(frame)),
  };
}

/** Times of the server's own clocks alone. */
function withoutTimes(frame: string, server: string): string {
  const [, timestamp] = /^81 \{"timestamp":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)",/.exec(frame) ?? [];
  const without = timestamp === undefined ? frame : frame.replace(timestamp, '<time>');
  if (!without.includes('"type":"node_status"') || !without.includes(`"peer_id":"${server}"`)) return without;
  return without
    .replace(/"start_time":\d{10},/, '"start_time":<time>,')
    .replace(/"uptime":\d+(\.\d+)?,/, '"uptime":<seconds>,');
}
