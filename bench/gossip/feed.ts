/** One WebSocket client that reads as little of what it gets as counting takes. */

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HELLO =
  'GET /p2p-ws HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';

const PING = 0x89;
/** An empty pong; a client's frames are masked, here by zeros (RFC 6455, section 5.3). */
const PONG = Buffer.from([0x8a, 0x80, 0, 0, 0, 0]);

export class Feed {
  readonly #socket: Socket;
  readonly #onFrame: (payload: Buffer) => void;
  #rest: Buffer = Buffer.alloc(0);
  #open = false;

  private constructor(port: number, onFrame: (payload: Buffer) => void, onClosed: () => void) {
    this.#onFrame = onFrame;
    this.#socket = connect(port, '127.0.0.1', () => this.#socket.write(HELLO));
    this.#socket.on('data', (chunk) => this.#hear(chunk));
    this.#socket.on('error', () => {});
    this.#socket.once('close', onClosed);
  }

  /** Calls `onFrame` with the payload of every frame that has one; it must not keep it. `onClosed`: whoever closed it. */
  static async open(
    port: number,
    onFrame: (payload: Buffer) => void,
    onClosed: () => void = () => {},
  ): Promise<Feed> {
    const feed = new Feed(port, onFrame, onClosed);
    await once(feed.#socket, 'connect');
    return feed;
  }

  close(): void {
    this.#socket.destroy();
  }

  #hear(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    if (!this.#open) {
      const end = bytes.indexOf('\r\n\r\n');
      if (end !== -1) {
        this.#open = true;
        bytes = bytes.subarray(end + 4);
      }
    }
    if (this.#open) bytes = this.#frames(bytes);
    this.#rest = bytes;
  }

  /** A server's frames are not masked; answers what is left. */
  #frames(bytes: Buffer): Buffer {
    let at = 0;
    while (at + 2 <= bytes.length) {
      let length = (bytes[at + 1] ?? 0) & 0x7f;
      let head = 2;
      if (length === 126) {
        head = 4;
        if (at + head > bytes.length) break;
        length = bytes.readUInt16BE(at + 2);
      } else if (length === 127) {
        head = 10;
        if (at + head > bytes.length) break;
        length = Number(bytes.readBigUInt64BE(at + 2));
      }
      if (at + head + length > bytes.length) break;
      // Who does not answer is taken for gone after two minutes.
      if (bytes[at] === PING) this.#socket.write(PONG);
      else if (length > 0) this.#onFrame(bytes.subarray(at + head, at + head + length));
      at += head + length;
    }
    return bytes.subarray(at);
  }
}
