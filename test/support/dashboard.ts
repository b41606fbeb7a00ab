/** A WebSocket client that connects again whenever it is cut, as a dashboard does. */

import type { TestContext } from 'node:test';
import { WebSocket } from 'ws';

export interface DashboardFrame {
  readonly type: string;
  readonly hash: string;
  readonly peer_id: string;
}

export class Dashboard {
  /** What each connection heard besides node_status and PING, the oldest connection first. */
  readonly lives: DashboardFrame[][] = [];
  /** The present connection has had its first frame, the node's own status: from then on it is served. */
  open = false;
  #socket: WebSocket | undefined;
  #over = false;

  /** `url` is asked at every attempt; undefined: there is nobody to connect to. */
  constructor(
    context: Pick<TestContext, 'after'>,
    private readonly url: () => string | undefined,
  ) {
    context.after(() => {
      this.#over = true;
      this.#socket?.terminate();
    });
    this.#connect();
  }

  /** Connections so far, the present one included. */
  get life(): number {
    return this.lives.length;
  }

  #connect(): void {
    if (this.#over) return;
    const url = this.url();
    if (url === undefined) {
      this.#connectSoon();
      return;
    }
    const socket = new WebSocket(url);
    this.#socket = socket;
    const frames: DashboardFrame[] = [];
    this.lives.push(frames);
    socket.on('error', () => {});
    socket.on('message', (data) => {
      const frame = JSON.parse(String(data)) as DashboardFrame;
      if (frame.type === 'node_status') this.open = true;
      else if (frame.type !== 'PING') frames.push(frame);
    });
    socket.on('close', () => {
      this.open = false;
      this.#connectSoon();
    });
  }

  #connectSoon(): void {
    setTimeout(() => this.#connect(), 50);
  }
}
