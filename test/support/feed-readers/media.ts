/** The feed's two media as a client has them that is written by nobody of this project: `ws`, and Node's HTTP with an SSE parser of its own. */

import { get, type IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import { WebSocket } from 'ws';
import { type Heard, itemOf } from './heard.js';
import type { Wish } from './wish.js';

/** A connection that can be cut, and left unread for a while. */
export interface Connection {
  cut(): void;
  pause(): void;
  resume(): void;
}

interface Told {
  readonly heard: Heard;
  readonly wish: Wish;
  readonly headers: Readonly<Record<string, string>>;
  readonly onOpen: () => void;
  /** It is over, however it ended: called once. */
  readonly onEnd: () => void;
}

export function openWebSocket(port: number, { heard, wish, headers, onOpen, onEnd }: Told): Connection {
  const query = heard.query === '' ? '' : `?${heard.query}`;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/p2p-ws${query}`, {
    perMessageDeflate: false,
    headers,
  });
  socket.on('open', () => {
    heard.open = true;
    onOpen();
  });
  socket.on('error', () => {});
  socket.on('unexpected-response', (_, response) => {
    refused(response, heard);
    // Then `ws` leaves the connection to whoever listens.
    response.on('close', () => socket.terminate());
  });
  socket.on('message', (data: Buffer, binary) => {
    guarded(heard, () => {
      if (binary && !wish.gzip) throw new Error('a binary message that nobody asked for');
      const text = binary ? gunzipSync(data).toString() : data.toString();
      const lines = wish.batchMs === undefined ? [text] : text.split('\n');
      const items = lines.map(itemOf);
      const hasFrames = items.some(({ type }) => type === 'frame');
      if (wish.gzip && wish.meta && hasFrames && !binary) throw new Error('frames that are not compressed');
      if (items.length > 1 && !items.every(({ type }) => type === 'frame'))
        throw new Error('a batch with more than frames in it');
      heard.items.push(...items);
    });
  });
  socket.on('close', (code) => {
    heard.closeCode = code;
    onEnd();
  });
  return { cut: () => socket.terminate(), pause: () => socket.pause(), resume: () => socket.resume() };
}

export function openEventStream(port: number, { heard, wish, headers, onOpen, onEnd }: Told): Connection {
  const query = heard.query === '' ? '' : `?${heard.query}`;
  const request = get({ port, host: '127.0.0.1', path: `/events${query}`, headers, agent: false });
  let stream: IncomingMessage | undefined;
  let over = false;
  const end = (): void => {
    if (over) return;
    over = true;
    onEnd();
  };
  request.on('error', end);
  request.on('response', (response) => {
    stream = response;
    response.on('error', () => {});
    if (response.statusCode !== 200) {
      refused(response, heard);
      response.on('close', end);
      return;
    }
    heard.open = true;
    onOpen();
    let rest = '';
    response.setEncoding('utf8').on('data', (chunk: string) => {
      const blocks = (rest + chunk).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) guarded(heard, () => takeEvent(block, heard, wish));
    });
    response.on('close', end);
  });
  return {
    cut: () => request.destroy(),
    pause: () => stream?.pause(),
    resume: () => stream?.resume(),
  };
}

/** One event of a stream, by the field rules of the HTML standard (9.2.6). */
function takeEvent(block: string, heard: Heard, { oneEvent }: Wish): void {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    // What begins with a colon is a comment.
    if (name !== '') fields.set(name, fields.has(name) ? `${fields.get(name)}\n${value}` : value);
  }
  const data = fields.get('data');
  if (data === undefined) return;
  const item = itemOf(data);
  const { type, cursor } = JSON.parse(data) as { type: string; cursor?: string };
  const name = fields.get('event') ?? 'message';
  const expected = oneEvent ? 'message' : type;
  if (name !== expected) throw new Error(`an event ${name} with a frame ${type}`);
  if (fields.has('id') && fields.get('id') !== cursor) throw new Error(`id ${fields.get('id')} of ${data}`);
  if (item.type === 'frame' && !fields.has('id')) throw new Error(`no id of ${data}`);
  heard.items.push(item);
}

function refused(response: IncomingMessage, heard: Heard): void {
  let body = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    body += chunk;
  });
  const status = response.statusCode ?? 0;
  const authenticate = response.headers['www-authenticate'];
  heard.refusal = { status, code: '', authenticate };
  response.on('end', () => {
    guarded(heard, () => {
      if (response.headers['content-type'] !== 'application/problem+json')
        throw new Error(`a refusal of type ${response.headers['content-type']}: ${body}`);
      const { code, kinds } = JSON.parse(body) as { code: string; kinds?: readonly string[] };
      heard.refusal = { status, code, authenticate, ...(kinds === undefined ? {} : { kinds }) };
    });
  });
}

/** What cannot be read is the server's fault, told when the connection is judged. */
function guarded(heard: Heard, take: () => void): void {
  try {
    take();
  } catch (error) {
    heard.fault ??= error instanceof Error ? error.message : String(error);
  }
}
