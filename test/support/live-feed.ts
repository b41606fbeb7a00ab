/** The live feed with a real journal, in the test's own thread: what happens between two steps of a replay is the test's to say. */

import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { Registry } from 'prom-client';
import type { ControlFrame } from '../../src/shared/firehose/control-frames.js';
import { type CursorScheme, NODE_CURSORS, type Place } from '../../src/shared/firehose/cursor-scheme.js';
import type { FeedProblem } from '../../src/shared/firehose/problems.js';
import type { StartPoint } from '../../src/shared/firehose/request.js';
import type { JournalledEntry } from '../../src/shared/journal/entry.js';
import type { JournalOptions } from '../../src/shared/journal/options.js';
import { META } from '../../src/workers/websocket-server/feed/form.js';
import { LiveFeed } from '../../src/workers/websocket-server/feed/live-feed.js';
import type { Outlet } from '../../src/workers/websocket-server/feed/outlet.js';
import type { Reader } from '../../src/workers/websocket-server/feed/reader.js';
import type { View } from '../../src/workers/websocket-server/feed/view.js';
import { createNotificationServerMetrics } from '../../src/workers/websocket-server/metrics.js';
import { kindNamed } from './kinds.js';
import { keptLog } from './logger.js';
import { entryWith, openJournal } from './open-journal.js';
import { PATIENCE } from './wait.js';

const LIMITS = { peers: 100, message_bytes: 1024, messages_per_minute: 100, buffer_bytes: 1_048_576 };

export interface TestFrame {
  readonly type: string;
  readonly n: number;
  readonly seq: number;
  readonly cursor: string;
}

/** What a consumer gets. */
export class TestOutlet implements Outlet {
  readonly frames: TestFrame[] = [];
  readonly controls: ControlFrame[] = [];
  readonly topics = new Set<string>();
  problem: FeedProblem | undefined;
  endedAt: string | undefined;
  reader: Reader | undefined;
  /** It has taken nothing of so many bytes. */
  buffered = 0;
  reads = true;
  /** Called behind everything that is written. */
  written: () => void = () => {};

  bufferedBytes(): number {
    return this.buffered;
  }

  write(messages: readonly Uint8Array[], binary: boolean): void {
    for (const message of messages) this.take(message, binary);
    this.written();
  }

  take(message: Uint8Array, binary: boolean): void {
    if (!this.reads) this.buffered += message.length;
    const lines = (binary ? gunzipSync(message) : Buffer.from(message)).toString().split('\n');
    for (const line of lines) {
      const { type, n, seq, cursor } = JSON.parse(line);
      this.frames.push({ type, n, seq, cursor });
    }
  }

  control(frame: ControlFrame): void {
    this.controls.push(frame);
  }

  subscribe(topic: string): void {
    this.topics.add(topic);
  }

  unsubscribe(topic: string): void {
    this.topics.delete(topic);
  }

  end(problem: FeedProblem, cursor?: string): void {
    this.problem = problem;
    this.endedAt = cursor;
  }
}

export interface TestFeed {
  readonly feed: LiveFeed;
  readonly outlets: Set<TestOutlet>;
  /** Appends and publishes, a batch; gives the number of the last. */
  readonly announce: (
    ...announcements: readonly { kind: string; author?: string; padding?: string }[]
  ) => number;
  /** A consumer from a cursor on, or from now. */
  readonly join: (
    start?: StartPoint,
    view?: Partial<View>,
    prepare?: (outlet: TestOutlet) => void,
    strict?: boolean,
  ) => TestOutlet;
  /** Appends entries as they are, and publishes them. */
  readonly publish: (...entries: readonly Uint8Array[]) => void;
  /** Appends, and does not publish. */
  readonly missed: TestFeed['announce'];
  readonly directory: string;
}

export function testFeed(
  context: Pick<TestContext, 'after'>,
  options: Partial<JournalOptions> & { clientBuffer?: number; scheme?: CursorScheme } = {},
): TestFeed {
  const { clientBuffer = 1_048_576, scheme = NODE_CURSORS, ...journalOptions } = options;
  const { journal, directory, append } = openJournal(context, undefined, journalOptions);
  const place = (): Place => ({ epoch: journal.epoch, position: journal.end, seq: journal.nextSeq });
  let live = place();
  const outlets = new Set<TestOutlet>();
  const feed = new LiveFeed(
    {
      logger: keptLog().logger,
      metrics: createNotificationServerMetrics(new Registry()),
      live: () => live,
      node: () => undefined,
    },
    { scheme, clientBuffer },
  );
  feed.start();
  context.after(() => feed.stop());
  feed.journal(directory, journal.epoch);
  const renderings = feed.renderings((topic, message, binary) => {
    for (const outlet of outlets) if (outlet.topics.has(topic)) outlet.take(message, binary);
  });
  let count = 0;
  const stored: TestFeed['announce'] = (...announcements) => {
    placed = append(
      ...announcements.map(({ kind, author = 'peer', padding }) => {
        const frame = { type: kind, n: ++count, ...(padding ? { padding } : {}) };
        return entryWith({ kind: kindNamed(kind).id, author, frame: Buffer.from(JSON.stringify(frame)) });
      }),
    );
    return count;
  };
  let placed: JournalledEntry[] = [];
  return {
    feed,
    outlets,
    directory,
    missed: stored,
    announce: (...announcements) => {
      const last = stored(...announcements);
      live = place();
      feed.publish(placed);
      return last;
    },
    publish: (...entries) => {
      placed = append(...entries);
      live = place();
      feed.publish(placed);
    },
    join: (start, view = {}, prepare = () => {}, strict = false) => {
      const outlet = new TestOutlet();
      prepare(outlet);
      outlets.add(outlet);
      const admitted = feed.admit(renderings, {
        view: { form: META, gzip: false, ...view },
        start,
        strict,
      });
      outlet.reader = feed.begin(admitted, outlet, LIMITS);
      return outlet;
    },
  };
}

/** Turns of the event loop, until `condition` holds. */
export async function turnsUntil(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 60_000 * PATIENCE;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`in vain: ${what}`);
    await nextTurn();
  }
}
