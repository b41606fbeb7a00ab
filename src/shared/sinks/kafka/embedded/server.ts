/** Serves the embedded broker on a local socket, to the other threads and processes of this machine. */

import type { Socket } from 'node:net';
import { errorMessage } from '../../../errors.js';
import { LocalServer } from '../../../ipc/local-server.js';
import type { Logger } from '../../../logging/logger.js';
import { BrokerFaultError, type ConsumedRecord, RecordFaultError, TopicFaultError } from '../types.js';
import { type BrokerMessage, MessageReader, writeMessage } from './framing.js';
import type { BrokerPort } from './port.js';
import { decodeRecords, encodeRecords } from './record-batch.js';

export interface EmbeddedBrokerServerOptions {
  /** Where to listen; a stale socket file there is replaced. */
  readonly socketPath: string;
  /**
   * Connections at a time.
   * @default 256
   */
  readonly maxConnections?: number;
}

/** Requests of one connection that may be under way. */
const MAX_UNDER_WAY = 256;
/** Answers that a connection may leave unread before it is cut. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
/** Largest read that is asked for in one go. */
const MAX_READ_BYTES = 8 * 1024 * 1024;

export class EmbeddedBrokerServer {
  readonly #broker: BrokerPort;
  readonly #logger: Logger;
  readonly #server: LocalServer;

  constructor(
    { broker, logger }: { broker: BrokerPort; logger: Logger },
    { socketPath, maxConnections = 256 }: EmbeddedBrokerServerOptions,
  ) {
    this.#broker = broker;
    this.#logger = logger;
    this.#server = new LocalServer(
      {
        serve: (socket) => this.#serve(socket),
        onError: (error) => logger.error({ err: error }, 'the broker socket failed'),
      },
      { path: socketPath, maxConnections },
    );
  }

  /** Listens. The caller holds the lock of the data directory: whatever is at the path is nobody's. */
  async start(): Promise<void> {
    await this.#server.start();
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  #serve(socket: Socket): void {
    const reader = new MessageReader();
    const members = new Set<number>();
    let underWay = 0;
    socket.on('data', (piece) => {
      try {
        for (const message of reader.push(piece)) {
          underWay++;
          if (underWay > MAX_UNDER_WAY) throw new RangeError(`more than ${MAX_UNDER_WAY} requests under way`);
          this.#answer(socket, message, members)
            .catch((error: unknown) => {
              this.#logger.error({ err: error }, 'a broker request could not be answered');
              socket.destroy();
            })
            .finally(() => {
              underWay--;
            });
        }
      } catch (error) {
        this.#logger.warn({ err: error }, 'a connection to the embedded broker sent nonsense and is cut');
        socket.destroy();
      }
    });
    socket.on('error', (error) => this.#logger.debug({ err: error }, 'a broker connection broke'));
    socket.on('close', () => {
      for (const member of members) {
        this.#broker.leave(member).catch(() => {});
      }
    });
  }

  async #answer(socket: Socket, message: BrokerMessage, members: Set<number>): Promise<void> {
    let header: Record<string, unknown>;
    let body: Uint8Array | undefined;
    try {
      ({ header, body } = await this.#execute(message, members, socket));
    } catch (error) {
      header = { fault: faultOf(error), error: errorMessage(error) };
    }
    if (socket.destroyed) return;
    try {
      writeMessage(socket, message.id, header, body);
    } catch (error) {
      writeMessage(socket, message.id, { fault: 'broker', error: errorMessage(error) });
    }
    if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
  }

  async #execute(
    { header, body }: BrokerMessage,
    members: Set<number>,
    socket: Socket,
  ): Promise<{ header: Record<string, unknown>; body?: Uint8Array }> {
    const text = (name: string): string => {
      const value = header[name];
      if (typeof value !== 'string') throw new BrokerFaultError(`${name} must be a string`);
      return value;
    };
    const number = (name: string, min = 0): number => {
      const value = header[name];
      if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < min) {
        throw new BrokerFaultError(`${name} must be a whole number of at least ${min}`);
      }
      return value;
    };
    const member = (): number => {
      const id = number('member');
      if (!members.has(id)) throw new BrokerFaultError('not a member of the group any more');
      return id;
    };
    switch (header.op) {
      case 'createTopic':
        await this.#broker.createTopic({
          topic: text('topic'),
          partitions: number('partitions', 1),
          retentionMs: number('retentionMs', -1),
        });
        return { header: {} };
      case 'topics':
        return { header: { topics: await this.#broker.topics() } };
      case 'produce':
        await this.#broker.produce(text('topic'), decodeRecords(body));
        return { header: {} };
      case 'read':
        return recordsAnswer(
          await this.#broker.read({
            topic: text('topic'),
            partition: number('partition'),
            offset: number('offset'),
            maxBytes: Math.min(number('maxBytes'), MAX_READ_BYTES),
            waitMs: number('waitMs'),
          }),
        );
      case 'join': {
        const id = await this.#broker.join({
          group: text('group'),
          topic: text('topic'),
          fromOldest: header.fromOldest === true,
        });
        if (socket.destroyed) await this.#broker.leave(id);
        else members.add(id);
        return { header: { member: id } };
      }
      case 'poll':
        return recordsAnswer(
          await this.#broker.poll(member(), Math.min(number('maxBytes'), MAX_READ_BYTES), number('waitMs')),
        );
      case 'commit':
        return {
          header: {
            committed: await this.#broker.commit(member(), number('partition'), number('next')),
          },
        };
      case 'leave': {
        const id = member();
        members.delete(id);
        await this.#broker.leave(id);
        return { header: {} };
      }
      default:
        throw new BrokerFaultError(`no operation ${String(header.op)}`);
    }
  }
}

function faultOf(error: unknown): 'record' | 'topic' | 'broker' {
  if (error instanceof RecordFaultError) return 'record';
  return error instanceof TopicFaultError ? 'topic' : 'broker';
}

/** Offsets and times are run-length pairs, as all records of a batch share a time: [first offset, count, time]. */
function recordsAnswer(records: readonly ConsumedRecord[]): {
  header: Record<string, unknown>;
  body?: Uint8Array;
} {
  const [first] = records;
  if (first === undefined) return { header: { runs: [] } };
  const runs: [offset: number, count: number, timestamp: number][] = [];
  for (const record of records) {
    const offset = Number(record.offset);
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === offset && last[2] === record.timestamp) last[1]++;
    else runs.push([offset, 1, record.timestamp]);
  }
  return {
    header: { topic: first.topic, partition: first.partition, runs },
    body: encodeRecords(records),
  };
}
