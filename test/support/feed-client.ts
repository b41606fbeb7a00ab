/** A consumer of the feed with parameters, over a real WebSocket. */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { waitFor } from './wait.js';

interface FeedFrame {
  readonly type: string;
  readonly n: number;
  readonly cursor: string;
  readonly epoch: string;
  readonly seq: number;
  readonly code?: string;
  readonly [key: string]: unknown;
}

const CONTROLS = new Set(['hello', 'info', 'cursor', 'error']);

export interface FeedClient {
  readonly socket: WebSocket;
  /** Everything that came, in its order. */
  readonly all: FeedFrame[];
  /** Frames that each message had. */
  readonly messages: number[];
  /** Announcements alone. */
  readonly frames: () => FeedFrame[];
  readonly controls: (type?: string) => FeedFrame[];
  /** Their numbers; see `Feed.announce`. */
  readonly numbers: () => number[];
  /** The newest that was told. */
  readonly cursor: () => string;
  code: number | undefined;
  reason: string;
}

export interface FeedClientOptions {
  readonly origin?: string;
  readonly headers?: Record<string, string>;
  readonly localAddress?: string;
}

/** Connects with the query; resolves when open, rejects when refused. */
export async function feedClient(
  context: Pick<TestContext, 'after'>,
  url: string,
  query: string,
  options: FeedClientOptions = {},
): Promise<FeedClient> {
  const socket = new WebSocket(`${url}?${query}`, options);
  const all: FeedFrame[] = [];
  const messages: number[] = [];
  const frames = () => all.filter(({ type }) => !CONTROLS.has(type));
  const client: FeedClient = {
    socket,
    all,
    messages,
    frames,
    controls: (wanted) =>
      all.filter(({ type }) => (wanted === undefined ? CONTROLS.has(type) : type === wanted)),
    numbers: () => frames().map(({ n }) => n),
    cursor: () => all.findLast(({ cursor }) => cursor !== undefined)?.cursor ?? '',
    code: undefined,
    reason: '',
  };
  socket.on('message', (data: Buffer, isBinary) => {
    const lines = (isBinary ? gunzipSync(data) : data).toString().split('\n');
    messages.push(lines.length);
    all.push(...lines.map((line) => JSON.parse(line)));
  });
  socket.on('close', (code, reason) => {
    client.code = code;
    client.reason = reason.toString();
  });
  context.after(() => socket.terminate());
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  return client;
}

/** Waits until the announcement `n` has come. */
export async function hears(client: FeedClient, n: number): Promise<void> {
  await waitFor(() => client.frames().at(-1)?.n === n || client.code !== undefined, {
    what: `announcement ${n}`,
  });
  assert.equal(client.code, undefined, `closed: ${client.reason}`);
}

/** Holds that the sequence numbers of what came have neither a gap nor a repeat, over all of it or from a cursor on. */
export function assertContiguous(client: FeedClient): void {
  const seqs = client.frames().map(({ seq }) => seq);
  for (const [index, seq] of seqs.entries()) {
    if (index > 0) assert.equal(seq, Number(seqs[index - 1]) + 1, `frame ${index} of ${seqs.length}`);
  }
}

/** The answer with which a handshake with this query is refused. */
export async function refusedWith(
  url: string,
  query: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Record<string, unknown>; body: Record<string, unknown> }> {
  const socket = new WebSocket(`${url}?${query}`, { headers });
  socket.on('error', () => {});
  return new Promise((resolve, reject) => {
    socket.once('open', () => reject(new Error('not refused')));
    socket.once('unexpected-response', (_request, response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => {
        text += chunk;
      });
      response.on('end', () => {
        socket.terminate();
        try {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(text) });
        } catch (error) {
          reject(error);
        }
      });
    });
  });
}
