/** One notification server over a real journal, fed as the publisher feeds it. */

import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { wall } from '../../src/shared/clock.js';
import { FrameStreamServer } from '../../src/shared/feed/stream-server.js';
import { localSocketPath } from '../../src/shared/ipc/socket-path.js';
import { encodeEntry } from '../../src/shared/journal/entry.js';
import { Journal } from '../../src/shared/journal/journal.js';
import { nodeStatus } from '../../src/shared/messages/index.js';
import { serverCpu, startNotificationServer } from '../websocket/notification-server.js';

const GREETING = Buffer.from('{"type":"node_status"}');
/** Entries of a batch. */
const BATCH = 256;
const SEGMENT_BYTES = 64 * 1_048_576;
const LARGE_BYTES = 8 * 2 ** 30;

export interface Served {
  readonly port: number;
  /** Frame bytes that a client without parameters gets on coming. */
  readonly greetingBytes: number;
  /** Appends entries with frames, and hands them to the notification server unless `quietly`. */
  append(entries: readonly Uint8Array[], options?: { readonly quietly?: boolean }): void;
  /** The node's cursor behind the newest of all but `count` frames. */
  cursorBefore(count: number): string;
  /** CPU seconds of the notification server, since its start. */
  cpu(): Promise<number>;
  stop(): Promise<void>;
}

/** Serves what is in `history` from the start on. */
export async function serveFeed(history: Iterable<readonly Uint8Array[]> = []): Promise<Served> {
  const directory = mkdtempSync(join(tmpdir(), 'teranode-p2p-bench-'));
  const socketPath = localSocketPath(directory, 'frames.sock');
  const logger = pino({ level: 'silent' });
  const journal = new Journal(
    { logger },
    {
      directory: join(directory, 'journal'),
      fsync: false,
      segmentBytes: SEGMENT_BYTES,
      segmentMs: 3_600_000,
      retentionMs: 86_400_000,
      retentionBytes: LARGE_BYTES,
      repeats: { windowMs: 0, max: 0 },
    },
  );
  journal.open();
  const stream = {
    directory: join(directory, 'journal'),
    epoch: journal.epoch,
    get end() {
      return journal.end;
    },
    get nextSeq() {
      return journal.nextSeq;
    },
  };
  const feed = new FrameStreamServer({ socketPath, journal: stream, logger });
  const append: Served['append'] = (entries, { quietly = false } = {}) => {
    for (let from = 0; from < entries.length; from += BATCH) {
      const batch = entries.slice(from, from + BATCH);
      const { firstPosition, firstSeq } = journal.append({ id: randomInt(2 ** 47), entries: batch });
      if (quietly) continue;
      feed.append(
        batch.map((bytes, index) => ({ position: firstPosition + index, seq: firstSeq + index, bytes })),
      );
    }
  };
  for (const entries of history) append(entries, { quietly: true });
  await feed.start(
    encodeEntry({
      ...{ kind: nodeStatus.id, own: true, author: '', receivedAt: wall.told(), repeatKey: '' },
      ...{ frame: GREETING, record: undefined },
    }),
  );
  const servers = await startNotificationServer(socketPath, 20_000);
  return {
    port: servers.port,
    greetingBytes: GREETING.length + 2,
    append,
    cursorBefore: (count) => `${journal.epoch}.${journal.nextSeq - 1 - count}`,
    cpu: () => serverCpu(servers),
    stop: async () => {
      await servers.stop();
      await feed.stop();
      journal.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
