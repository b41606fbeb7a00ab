/** A WebSocket as an outlet of the feed. */

import { type ControlFrame, encodeControl, errorFrame } from '../../shared/firehose/control-frames.js';
import type { FeedProblem } from '../../shared/firehose/problems.js';
import type { ClientSocket } from './client.js';
import type { Outlet } from './feed/outlet.js';

export class SocketOutlet implements Outlet {
  /** `ended`: nothing more is sent, and the client is to go. */
  constructor(
    private readonly socket: ClientSocket,
    private readonly ended: (problem: FeedProblem) => void,
  ) {}

  bufferedBytes(): number {
    return this.socket.bufferedBytes();
  }

  write(messages: readonly Uint8Array[], binary: boolean): void {
    if (!binary) this.socket.sendAll(messages);
    else for (const message of messages) this.socket.send(message, true);
  }

  control(frame: ControlFrame): void {
    this.socket.send(encodeControl(frame));
  }

  subscribe(topic: string): void {
    this.socket.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    this.socket.unsubscribe(topic);
  }

  end(problem: FeedProblem, cursor?: string): void {
    this.control(errorFrame(problem, cursor));
    this.ended(problem);
  }
}
