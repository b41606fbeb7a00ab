/** What a consumer of the feed is written to, whatever carries it: a WebSocket, or an answer that goes on. */

import type { ControlFrame } from '../../../shared/firehose/control-frames.js';
import type { FeedProblem } from '../../../shared/firehose/problems.js';

export interface Outlet {
  /** Bytes written that the consumer has not taken. */
  bufferedBytes(): number;
  /** Writes messages in their order, behind what was published to its topics before. `binary`: gzip. */
  write(messages: readonly Uint8Array[], binary: boolean): void;
  /** Writes a control frame, as `write` does. */
  control(frame: ControlFrame): void;
  /** From now on what is published to the topic reaches it. */
  subscribe(topic: string): void;
  /** What was published before still reaches it. */
  unsubscribe(topic: string): void;
  /** Tells the problem, with the cursor from which to go on where there is one, and ends. */
  end(problem: FeedProblem, cursor?: string): void;
}
