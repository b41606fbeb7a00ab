/** Sets up what the WebSocket benchmarks measure: this server's fan-out, bare uWebSockets.js, and the load. */

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { wall } from '../../src/shared/clock.js';
import { FrameStreamServer } from '../../src/shared/feed/stream-server.js';
import { localSocketPath } from '../../src/shared/ipc/socket-path.js';
import { encodeEntry } from '../../src/shared/journal/entry.js';
import { nodeStatus, subtree } from '../../src/shared/messages/index.js';
import { once } from '../child.js';
import { REFERENCE } from '../reference/subjects.js';
import type { BareOrder, BareReport } from './bare.js';
import type { ClientsOrder, ClientsReport } from './clients.js';
import { makeFrame } from './frame.js';
import { serverCpu, startNotificationServer } from './notification-server.js';

/** As in bench/reference/feed.go. */
const GO_GREETING = '{"type":"node_status"}';

/** Something that fans frames out. */
export interface Contestant {
  readonly name: string;
  readonly port: number;
  /** Frame bytes that each client gets on coming. */
  readonly greetingBytes: number;
  publish(count: number): void;
  /** CPU seconds of the process that fans out, since its start. */
  cpu(): Promise<number>;
  stop(): Promise<void>;
}

const program = (name: string) => fork(new URL(`./${name}.js`, import.meta.url));

export const bareContestant = (): Promise<Contestant> =>
  orderedContestant('bare uWebSockets.js publish', program('bare'), 0);

/** The feed of the Go reference, which must have been built: gorilla/websocket, a goroutine and a channel a client. */
export const goContestant = (): Promise<Contestant> =>
  orderedContestant(
    'Go reference',
    spawn(REFERENCE, ['-fan-out'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    GO_GREETING.length + 2,
  );

async function orderedContestant(
  name: string,
  child: ChildProcess,
  greetingBytes: number,
): Promise<Contestant> {
  const { port } = await once<BareReport & { type: 'listening' }>(child, 'listening');
  const order = (message: BareOrder) => child.send(message);
  return {
    name,
    port,
    greetingBytes,
    publish: (count) => order({ type: 'publish', count }),
    cpu: async () => {
      const used = once<BareReport & { type: 'cpu' }>(child, 'cpu');
      order({ type: 'cpu' });
      return (await used).seconds;
    },
    stop: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      order({ type: 'stop' });
      await gone;
    },
  };
}

function entryOf(kind: number, frame: Uint8Array, own: boolean): Buffer {
  const receivedAt = wall.told();
  return encodeEntry({ kind, own, author: '', receivedAt, repeatKey: '', frame, record: undefined });
}

/** One notification server process, fed as the publisher feeds it. */
export async function serverContestant(maxConnections: number): Promise<Contestant> {
  const directory = mkdtempSync(join(tmpdir(), 'teranode-p2p-bench-'));
  const socketPath = localSocketPath(directory, 'frames.sock');
  const logger = pino({ level: 'silent' });
  // Nobody falls behind here, so that nothing is read from it.
  const journal = { directory, epoch: 'bench', end: 0, nextSeq: 0 };
  const feed = new FrameStreamServer({ socketPath, journal, logger });
  const greeting = Buffer.from('{"type":"node_status"}');
  await feed.start(entryOf(nodeStatus.id, greeting, true));
  const servers = await startNotificationServer(socketPath, maxConnections);
  return {
    name: 'this server',
    port: servers.port,
    greetingBytes: greeting.length + 2,
    publish: (count) => {
      const entries = Array.from({ length: count }, (_, index) => {
        const [position, seq] = [journal.end + index, journal.nextSeq + index];
        return { position, seq, bytes: entryOf(subtree.id, makeFrame(), false) };
      });
      journal.end += count;
      journal.nextSeq += count;
      feed.append(entries);
    },
    cpu: () => serverCpu(servers),
    stop: async () => {
      await servers.stop();
      await feed.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** The load's process. */
export class Clients {
  readonly #child = program('clients');

  async open(
    { port, greetingBytes }: Pick<Contestant, 'port' | 'greetingBytes'>,
    clients: number,
    stalled = 0,
  ): Promise<void> {
    this.#order({ type: 'open', port, clients, stalled });
    await once<ClientsReport>(this.#child, 'opened');
    await this.reach(clients * greetingBytes, 30_000);
  }

  /** How many are connected. */
  async count(): Promise<number> {
    const answer = once<ClientsReport & { type: 'count' }>(this.#child, 'count');
    this.#order({ type: 'count' });
    return (await answer).open;
  }

  /** Resolves with what had come, which is less than `bytes` only when time ran out. */
  async reach(bytes: number, timeoutMs: number): Promise<boolean> {
    const reached = once<ClientsReport>(this.#child, 'reached').then(() => true);
    this.#order({ type: 'await', bytes });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    const inTime = await Promise.race([reached, late]);
    clearTimeout(timer);
    return inTime;
  }

  measure(frameBytes: number): void {
    this.#order({ type: 'measure', frameBytes });
  }

  async latency(): Promise<ClientsReport & { type: 'latency' }> {
    this.#order({ type: 'latency' });
    return once<ClientsReport & { type: 'latency' }>(this.#child, 'latency');
  }

  async close(): Promise<void> {
    this.#order({ type: 'close' });
    await once<ClientsReport>(this.#child, 'closed');
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await gone;
  }

  #order(order: ClientsOrder): void {
    this.#child.send(order);
  }
}
