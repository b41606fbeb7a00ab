/** A server for the library's own rules: a history in memory, offered over a real WebSocket as the feed's contract has it, and whatever a test wants it to do wrong. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type WebSocket, WebSocketServer } from 'ws';
import { freePorts } from '../support/ports.js';

export interface Told {
  readonly cursor: string;
  readonly epoch: string;
  readonly seq: number;
  readonly received_at: string;
}

export interface Asked {
  /** Of the connection. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage['headers'];
  readonly path: string;
}

/** What is done with a connection in place of what is usual. Returns whether it did anything. */
type Instead = (socket: WebSocket, asked: Asked) => boolean;

const START = Date.parse('2026-11-30T01:00:00.000Z');

export class ScriptedServer {
  /** What each connection asked for, in order; those that were refused as well. */
  readonly asked: Asked[] = [];
  readonly frames: (Record<string, unknown> & Told)[] = [];
  /** The oldest frames that are not kept any more. */
  dropped = 0;
  instead: Instead = () => false;
  /** When the status of its node came of which `hello` tells, unix ms. */
  statusMs: number;
  /** What `hello` says that a client may do. */
  limits: { readonly kinds?: readonly string[] } = {};
  /** What is answered in place of an upgrade, for so long as it is set, or for `times` of them. */
  refusal: { status: number; headers?: Record<string, string>; body?: string; times?: number } | undefined;
  #http: Server | undefined;
  readonly #sockets = new WebSocketServer({ noServer: true });
  readonly #connections = new Set<Socket>();
  /** Those that hear what comes, with the kinds that they want. */
  readonly #live = new Map<WebSocket, { kinds: readonly string[]; batched: boolean; gzip: boolean }>();
  #port = 0;

  constructor(
    readonly epoch: string,
    readonly startMs = START,
  ) {
    this.statusMs = startMs;
  }

  static async listen(
    context: Pick<TestContext, 'after'>,
    epoch = 'e1',
    startMs = START,
  ): Promise<ScriptedServer> {
    const server = new ScriptedServer(epoch, startMs);
    context.after(() => server.stop());
    await server.start();
    return server;
  }

  /** Listens, after `stop` on the port of before. */
  async start(): Promise<void> {
    const http = createServer((request, response) => this.#answer(request, response));
    http.on('connection', (socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    http.on('upgrade', (request, socket, head) => {
      const asked = askedBy(request);
      this.asked.push(asked);
      if (this.refusal !== undefined) {
        const { status, headers = {}, body = '', times = Number.POSITIVE_INFINITY } = this.refusal;
        this.refusal = times > 1 ? { ...this.refusal, times: times - 1 } : undefined;
        const lines = Object.entries({ 'content-length': Buffer.byteLength(body), ...headers });
        socket.end(
          `HTTP/1.1 ${status} Refused\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`,
        );
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (client) => {
        client.on('error', () => {});
        if (!this.instead(client, asked)) this.serve(client, asked);
      });
    });
    // One that nobody takes while the server is stopped.
    if (this.#port === 0) [this.#port = 0] = await freePorts(1);
    http.listen(this.#port, '127.0.0.1');
    await once(http, 'listening');
    this.#http = http;
  }

  /** Gone, as after `kill -9`. */
  async stop(): Promise<void> {
    const http = this.#http;
    this.#http = undefined;
    this.#live.clear();
    for (const socket of this.#connections) socket.destroy();
    if (http === undefined) return;
    http.close();
    await once(http, 'close');
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}/p2p-ws`;
  }

  /** Sockets that hear what comes. */
  get live(): readonly WebSocket[] {
    return [...this.#live.keys()];
  }

  /** Appends frames of a block each and tells those who listen; returns their hashes. */
  blocks(count: number, padding = ''): string[] {
    return Array.from({ length: count }, () => {
      const hash = (this.frames.length + 1).toString(16).padStart(64, '0');
      this.announce({
        type: 'block',
        hash,
        base_url: 'https://hub',
        peer_id: 'p',
        ...(padding ? { padding } : {}),
      });
      return hash;
    });
  }

  announce(fields: Record<string, unknown>, receivedMs = this.startMs + this.frames.length * 1000): void {
    const seq = this.frames.length + 1;
    const received_at = new Date(receivedMs).toISOString();
    const timestamp = `${received_at.slice(0, 19)}Z`;
    const frame = {
      timestamp,
      type: '',
      ...fields,
      cursor: `${this.epoch}.${seq}`,
      epoch: this.epoch,
      seq,
      received_at,
    };
    this.frames.push(frame);
    for (const [socket, { kinds, batched, gzip }] of this.#live) {
      if (kinds.length > 0 && !kinds.includes(frame.type)) continue;
      if (gzip) socket.send(gzipSync(JSON.stringify(frame)));
      else if (batched) socket.send(JSON.stringify(frame));
      else socket.send(JSON.stringify(frame));
    }
  }

  /** What is usual. */
  serve(socket: WebSocket, { parameters }: Asked): void {
    const { cursor, since, strict, kinds = '', batch, encoding } = parameters;
    const oldest = `${this.epoch}.${this.dropped}`;
    const say = (frame: object) => socket.send(JSON.stringify(frame));
    let from = this.frames.length;
    let info: object | undefined;
    if (cursor === 'oldest') from = this.dropped;
    else if (cursor !== undefined && cursor !== 'now') {
      const [epoch, seq] = cursor.split('.');
      from = Number(seq);
      if (epoch !== this.epoch) info = { code: 'cursor_unknown', text: 'not of this history', oldest };
      else if (from < this.dropped) info = { code: 'cursor_too_old', text: 'no longer kept', oldest };
      if (info !== undefined) from = this.dropped;
      if (info !== undefined && strict === 'true') {
        say({ type: 'error', ...info });
        socket.close(4410);
        return;
      }
    } else if (since !== undefined) {
      const found = this.frames.findIndex((frame) => frame.received_at >= new Date(since).toISOString());
      from = Math.max(this.dropped, found < 0 ? this.frames.length : found);
    }
    const timestamp = `${new Date(this.statusMs).toISOString().slice(0, 19)}Z`;
    const node = { timestamp, type: 'node_status', peer_id: 'me', best_height: 1 };
    say({ type: 'hello', cursor: `${this.epoch}.${from}`, oldest, node, limits: this.limits });
    if (info !== undefined) say({ type: 'info', ...info });
    const wanted = kinds === '' ? [] : kinds.split(',');
    const due = this.frames
      .slice(from)
      .filter(({ type }) => wanted.length === 0 || wanted.includes(String(type)));
    const gzip = encoding === 'gzip';
    if (batch !== undefined && due.length > 0) {
      const text = due.map((frame) => JSON.stringify(frame)).join('\n');
      socket.send(gzip ? gzipSync(text) : text);
    } else for (const frame of due) say(frame);
    this.#live.set(socket, { kinds: wanted, batched: batch !== undefined, gzip });
    socket.once('close', () => this.#live.delete(socket));
  }

  #answer(request: IncomingMessage, response: import('node:http').ServerResponse): void {
    const { status = 426, headers = {}, body = '' } = this.refusal ?? {};
    request.resume();
    response.writeHead(status, headers).end(body);
  }
}

function askedBy({ url = '', headers }: IncomingMessage): Asked {
  const { pathname, searchParams } = new URL(url, 'http://x');
  return { path: pathname, parameters: Object.fromEntries(searchParams), headers };
}
