/** A listener of one of the transports by itself, with what a test wants it to say. */

import { request as ask, type IncomingMessage } from 'node:http';
import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';
import type { Settings } from '../../src/shared/settings/table.js';
import type { TlsFiles } from '../../src/shared/tls/files.js';
import {
  chooseTransport,
  type HttpRequest,
  type Listener,
  type StreamedAnswer,
  type TransportHandlers,
  type TransportSocket,
} from '../../src/workers/websocket-server/transport/index.js';
import { freePorts } from './ports.js';
import { waitFor } from './wait.js';

export interface Opened {
  readonly listener: Listener;
  readonly port: number;
  /** Every WebSocket that was opened, in order. */
  readonly sockets: TransportSocket<string>[];
}

/** Listens on 127.0.0.1. Each WebSocket's data is its query. */
export async function openTransport(
  context: Pick<TestContext, 'after'>,
  transport: Settings['p2p_websocket_transport'],
  { tls, ...handlers }: Partial<TransportHandlers<string>> & { readonly tls?: TlsFiles } = {},
): Promise<Opened> {
  const sockets: TransportSocket<string>[] = [];
  const nothing = () => {};
  const listener = chooseTransport(transport, []).listener<string>(
    { tls, endpoint: '/p2p-ws', maxMessageBytes: 1024, idleSeconds: 120 },
    {
      connected: () => true,
      disconnected: nothing,
      request: () => ({ status: 404, headers: [], body: '' }),
      upgrade: ({ query }) => ({ data: query }),
      abandoned: nothing,
      message: nothing,
      ping: nothing,
      pong: nothing,
      drain: nothing,
      close: nothing,
      ...handlers,
      open: (socket) => {
        sockets.push(socket);
        handlers.open?.(socket);
      },
    },
  );
  context.after(() => listener.close());
  const [port = 0] = await freePorts(1);
  // A port that the system chose is shared with nobody, and so with no newer certificate.
  return { listener, port: await listener.listen('127.0.0.1', port), sockets };
}

/** Answers `GET /stream` and `HEAD /stream`, with the request in hand. */
export const streaming =
  (answer: (request: HttpRequest) => Partial<StreamedAnswer> & Pick<StreamedAnswer, 'stream'>) =>
  (request: HttpRequest): StreamedAnswer => ({
    status: 200,
    headers: [['content-type', 'text/plain']],
    ...answer(request),
  });

export interface Heard {
  readonly socket: WebSocket;
  /** Messages as latin1 text; a binary one begins with `binary:`. */
  readonly messages: string[];
  /** Code and reason, once closed. */
  closed: readonly [code: number, reason: string] | undefined;
}

/** A WebSocket client, once the transport has opened its socket. */
export async function hear(
  context: Pick<TestContext, 'after'>,
  { port }: Pick<Opened, 'port'>,
  query = '',
): Promise<Heard> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/p2p-ws${query === '' ? '' : `?${query}`}`);
  context.after(() => socket.terminate());
  const heard: Heard = { socket, messages: [], closed: undefined };
  socket.on('message', (data: Buffer, binary) =>
    heard.messages.push(`${binary ? 'binary:' : ''}${data.toString('latin1')}`),
  );
  socket.on('close', (code, reason) => {
    heard.closed = [code, String(reason)];
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('error', reject);
  });
  socket.on('error', () => {});
  return heard;
}

export interface Got {
  readonly response: IncomingMessage;
  readonly body: () => Buffer;
  /** It came to its end, as its framing says. */
  complete: boolean;
  /** The connection is gone. */
  gone: boolean;
}

/** An HTTP request, once its head is there. */
export async function get(
  context: Pick<TestContext, 'after'>,
  { port }: Pick<Opened, 'port'>,
  {
    path = '/stream',
    ...options
  }: { readonly path?: string; readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Got> {
  const asked = ask({ host: '127.0.0.1', port, path, agent: false, ...options });
  context.after(() => asked.destroy());
  asked.on('error', () => {});
  asked.end();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    asked.once('response', resolve);
    asked.once('error', reject);
  });
  const chunks: Buffer[] = [];
  const got: Got = { response, body: () => Buffer.concat(chunks), complete: false, gone: false };
  response.on('data', (chunk: Buffer) => chunks.push(chunk));
  response.on('error', () => {});
  response.once('end', () => (got.complete = response.complete));
  response.socket.once('close', () => (got.gone = true));
  return got;
}

/** The whole body. */
export async function whole(got: Got): Promise<Buffer> {
  await waitFor(() => got.complete, { what: 'the end of an answer' });
  return got.body();
}
