/** Notification servers with a publisher's stream behind them, for tests. */

import { randomBytes } from 'node:crypto';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { WebSocket } from 'ws';
import { FeedTokens } from '../../src/main/websocket/feed-tokens.js';
import {
  createNotificationsMetrics,
  NotificationServers,
  type NotificationServersOptions,
} from '../../src/main/websocket/index.js';
import { UnavailableError } from '../../src/shared/errors.js';
import { FrameStreamServer } from '../../src/shared/feed/stream-server.js';
import { localSocketPath } from '../../src/shared/ipc/socket-path.js';
import type { JournalOptions } from '../../src/shared/journal/options.js';
import { nodeStatus } from '../../src/shared/messages/index.js';
import type { Settings } from '../../src/shared/settings/table.js';
import { loadUws } from '../../src/workers/websocket-server/transport/uws-build.js';
import { kindNamed } from './kinds.js';
import { keptLog } from './logger.js';
import { entryWith, frameEntry, type OpenJournal, openJournal, streamJournal } from './open-journal.js';
import { type SettingChanges, settingsOf } from './settings.js';
import { temporaryDirectory } from './temporary.js';
import { waitFor } from './wait.js';

/** What serves on this machine: uWebSockets.js where a native build loads, and `ws` everywhere. */
export const TRANSPORTS: readonly Settings['p2p_websocket_transport'][] = ((): ['uws', 'ws'] | ['ws'] => {
  try {
    loadUws();
    return ['uws', 'ws'];
  } catch {
    return ['ws'];
  }
})();

/** Lets several processes share the port on each Node, as `ws` does not before 22.12; else what `auto` takes. */
export const SHARES_PORT: Settings['p2p_websocket_transport'] = TRANSPORTS.includes('uws') ? 'uws' : 'auto';

interface Announcement {
  /** Name of the kind. */
  readonly kind: string;
  /** `peer` unless told. */
  readonly author?: string;
  readonly padding?: string;
}

/** A stand-in for the publisher: a journal, and what serves it. */
class Feed {
  #count = 0;
  #server: FrameStreamServer | undefined;
  #journal: OpenJournal;
  #status: Buffer | undefined;
  #boots = 0;

  constructor(
    private readonly context: Pick<TestContext, 'after'>,
    readonly socketPath: string,
    private readonly options: Partial<JournalOptions> = {},
  ) {
    this.#journal = openJournal(context, undefined, options);
  }

  get journal(): OpenJournal {
    return this.#journal;
  }

  /**
   * Serves, also after `stop`. With `anew` on a journal of its own, with `rebooted` on the same one as after a loss of power: both in another epoch.
   */
  async start({ anew = false, rebooted = false } = {}): Promise<void> {
    if (anew) {
      this.#journal = openJournal(this.context, undefined, this.options);
      this.#status = undefined;
    }
    if (rebooted) {
      const boot = `boot ${++this.#boots}`;
      this.#journal = openJournal(this.context, this.#journal.directory, { ...this.options, boot });
    }
    this.#server = new FrameStreamServer({
      socketPath: this.socketPath,
      journal: streamJournal(this.#journal),
      logger: keptLog().logger,
    });
    await this.#server.start(this.#status);
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#server = undefined;
  }

  /** Appends `count` frames `{"type":"block","height":n}` with n going up by one for ever; returns the last n. */
  blocks(count: number, padding = ''): number {
    const entries = Array.from({ length: count }, () =>
      frameEntry({ type: 'block', height: ++this.#count, ...(padding ? { padding } : {}) }),
    );
    this.#append(entries);
    return this.#count;
  }

  /** Appends frames in one batch: `{"type":<kind>,"n":n}` with n going up by one for ever, by their authors; returns the last n. */
  announce(...announcements: readonly Announcement[]): number {
    this.#append(
      announcements.map(({ kind, author = 'peer', padding }) => {
        const frame = { type: kind, n: ++this.#count, ...(padding ? { padding } : {}) };
        return entryWith({
          kind: kindNamed(kind).id,
          author,
          receivedAt: Date.now(),
          frame: Buffer.from(JSON.stringify(frame)),
        });
      }),
    );
    return this.#count;
  }

  status(fields: object = {}): void {
    const frame = Buffer.from(JSON.stringify({ type: 'node_status', peer_id: 'me', ...fields }));
    this.#count++;
    this.#status = entryWith({ kind: nodeStatus.id, own: true, receivedAt: Date.now(), frame });
    this.#append([this.#status]);
  }

  message(fields: object): void {
    this.#count++;
    this.#append([frameEntry(fields)]);
  }

  #append(entries: readonly Uint8Array[]): void {
    const placed = this.#journal.append(...entries);
    this.#server?.append(placed);
  }
}

/** Until all that serve have heard of their publisher: before that, pages and segments are answered 503. */
export async function untilTheyHear(servers: NotificationServers): Promise<void> {
  await waitFor(async () => (await servers.health()).message.includes(` ${servers.serving} hear`), {
    what: 'notification servers at the stream',
    timeoutMs: 60_000,
  });
}

export interface Served {
  readonly feed: Feed;
  readonly servers: NotificationServers;
  readonly url: string;
  readonly http: string;
  readonly registry: Registry;
}

/**
 * Starts notification servers (two unless told) on a free port of 127.0.0.1; everything ends with the test. Without text pings unless told: they come among the
 * frames of whoever stays for ten seconds, as a busy machine has them do.
 */
export async function serveNotifications(
  context: Pick<TestContext, 'after'>,
  changes: SettingChanges = {},
  options: Partial<NotificationServersOptions> & {
    greeted?: boolean;
    journal?: Partial<JournalOptions>;
    /** Path of a file of tokens. */
    tokens?: string;
  } = {},
): Promise<Served> {
  const socketPath = localSocketPath(temporaryDirectory(context), 'frames.sock');
  const { greeted = true, journal, tokens, ...serversOptions } = options;
  const feed = new Feed(context, socketPath, journal);
  await feed.start();
  context.after(() => feed.stop());
  if (greeted) feed.status();
  const registry = new Registry();
  const { logger } = keptLog();
  logger.level = process.env.TEST_LOG_LEVEL ?? 'silent';
  const feedTokens = tokens === undefined ? undefined : new FeedTokens({ logger, registry }, tokens);
  feedTokens?.start();
  context.after(() => feedTokens?.stop());
  const servers = new NotificationServers(
    {
      settings: settingsOf({
        p2p_httpListenAddress: '127.0.0.1:0',
        p2p_notification_servers: 2,
        p2p_websocket_transport: SHARES_PORT,
        p2p_websocket_trusted_source_cidrs: ['127.0.0.0/8'],
        p2p_websocket_text_ping: false,
        ...changes,
      }),
      logger,
      metrics: createNotificationsMetrics(registry),
      tokens: feedTokens,
    },
    { frameSocketPath: socketPath, peerId: 'me', baseUrl: 'http://me', ...serversOptions },
  );
  context.after(() => servers.stop());
  await servers.start();
  await untilTheyHear(servers);
  const host = `127.0.0.1:${servers.port}`;
  return { feed, servers, registry, url: `ws://${host}/p2p-ws`, http: `http://${host}` };
}

export interface Listener {
  readonly socket: WebSocket;
  readonly frames: Record<string, unknown>[];
  /** Heights of the blocks heard. */
  readonly heights: () => number[];
  /** Close code, once closed. */
  code: number | undefined;
}

export interface ListenOptions {
  readonly origin?: string;
  readonly localAddress?: string;
  readonly rejectUnauthorized?: boolean;
  readonly greeted?: boolean;
}

/** A WebSocket client that keeps what it hears. Resolves with its greeting, or when open for `greeted: false`; rejects when refused. */
export async function listen(
  context: Pick<TestContext, 'after'>,
  url: string,
  { greeted = true, ...options }: ListenOptions = {},
): Promise<Listener> {
  const socket = new WebSocket(url, options);
  const frames: Record<string, unknown>[] = [];
  const listener: Listener = {
    socket,
    frames,
    heights: () => frames.filter((frame) => frame.type === 'block').map((frame) => Number(frame.height)),
    code: undefined,
  };
  socket.on('message', (data) => frames.push(JSON.parse(String(data))));
  socket.on('close', (code) => {
    listener.code = code;
  });
  context.after(() => socket.terminate());
  await new Promise<void>((resolve, reject) => {
    socket.once(greeted ? 'message' : 'open', () => resolve());
    socket.once('error', reject);
    socket.once('close', (code) => reject(new Error(`closed with ${code} before its greeting`)));
  });
  socket.on('error', () => {});
  return listener;
}

/** HTTP status with which an upgrade is refused, 101 once it has its greeting, or the code with which it is closed before that. */
export async function upgradeStatus(
  url: string,
  options: { origin?: string; localAddress?: string } = {},
): Promise<number> {
  const socket = new WebSocket(url, options);
  socket.on('error', () => {});
  return new Promise((resolve) => {
    socket.once('message', () => {
      socket.terminate();
      resolve(101);
    });
    socket.once('close', resolve);
    socket.once('unexpected-response', (_request, response) => {
      response.resume();
      socket.terminate();
      resolve(response.statusCode ?? 0);
    });
  });
}

/** HTTP status or close code with which one client too many is refused, after its first frame or before. */
export async function refusal(url: string, options: { localAddress?: string } = {}): Promise<number> {
  const socket = new WebSocket(url, options);
  socket.on('error', () => {});
  const refused = new Promise<number>((resolve) => {
    socket.once('close', resolve);
    socket.once('unexpected-response', (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
  const timer = setTimeout(() => socket.terminate(), 20_000);
  try {
    return await refused;
  } finally {
    clearTimeout(timer);
    socket.terminate();
  }
}

/** A socket that has asked for an upgrade and does nothing by itself. */
export async function rawUpgrade(context: Pick<TestContext, 'after'>, port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  context.after(() => socket.destroy());
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write(
    `GET /p2p-ws HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  );
  return socket;
}

/** Payloads of unmasked text frames, and the close code if there is one, in bytes that came over a raw socket. */
export function readFrames(bytes: Buffer): { texts: string[]; close: number | undefined; rest: number } {
  const head = bytes.indexOf('\r\n\r\n');
  const texts: string[] = [];
  let close: number | undefined;
  let offset = head === -1 ? bytes.length : head + 4;
  while (offset + 2 <= bytes.length) {
    const opcode = Number(bytes[offset]) & 0x0f;
    let length = Number(bytes[offset + 1]) & 0x7f;
    let start = offset + 2;
    if (length === 126) {
      if (start + 2 > bytes.length) break;
      length = bytes.readUInt16BE(start);
      start += 2;
    } else if (length === 127) {
      if (start + 8 > bytes.length) break;
      length = Number(bytes.readBigUInt64BE(start));
      start += 8;
    }
    if (start + length > bytes.length) break;
    if (opcode === 1) texts.push(bytes.toString('utf8', start, start + length));
    if (opcode === 8 && length >= 2) close = bytes.readUInt16BE(start);
    offset = start + length;
  }
  return { texts, close, rest: bytes.length - offset };
}

/** A port that something else listens on. */
export async function takenPort(context: Pick<TestContext, 'after'>): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  context.after(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

function unlessUnavailable(error: unknown): undefined {
  if (!(error instanceof UnavailableError)) throw error;
}

/** Sum of one metric over all labels and processes. */
export async function metricSum(
  servers: NotificationServers,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number> {
  return (await metricsOf(servers, name, labels)).reduce((sum, value) => sum + value, 0);
}

/** A figure of each process, in their order; of what has `labels` alone. */
export async function metricsOf(
  servers: NotificationServers,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number[]> {
  const answers = await Promise.all(
    servers.metricSources.map((source) =>
      // A busy process may be late once.
      waitFor(() => source().catch(unlessUnavailable), { what: 'figures of a notification server' }),
    ),
  );
  return answers.map(({ metrics }) =>
    (metrics as { name: string; values: { value: number; labels: Record<string, string> }[] }[])
      .filter((metric) => metric.name === name)
      .flatMap(({ values }) => values)
      .filter((value) => Object.entries(labels).every(([label, wanted]) => value.labels[label] === wanted))
      .reduce((sum, { value }) => sum + value, 0),
  );
}
