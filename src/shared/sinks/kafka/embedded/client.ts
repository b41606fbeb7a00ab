/** The embedded broker, reached through its local socket. */

import type { Socket } from 'node:net';
import { errorMessage } from '../../../errors.js';
import { connectTo } from '../../../ipc/local-socket.js';
import {
  BrokerFaultError,
  type ConsumedRecord,
  type KafkaRecord,
  RecordFaultError,
  TopicFaultError,
} from '../types.js';
import { type BrokerMessage, MessageReader, writeMessage } from './framing.js';
import type { BrokerPort, JoinRequest, ReadRequest, TopicSpec, TopicState } from './port.js';
import { decodeRecords, encodeRecords } from './record-batch.js';

export interface EmbeddedBrokerClientOptions {
  readonly socketPath: string;
  /** Milliseconds until an answer must be there, beyond what the request itself waits; 10,000 unless told. */
  readonly timeoutMs?: number;
}

interface Pending {
  readonly resolve: (message: BrokerMessage) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/**
 * Connects with the first request and again with the first after a break. What was under way at a break rejects with
 * BrokerFaultError.
 */
export class EmbeddedBrokerClient implements BrokerPort {
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #pending = new Map<number, Pending>();
  #connection: Promise<Socket> | undefined;
  #nextId = 1;
  #closed = false;

  constructor({ socketPath, timeoutMs = 10_000 }: EmbeddedBrokerClientOptions) {
    this.#path = socketPath;
    this.#timeoutMs = timeoutMs;
  }

  /** Ends the connection for good. */
  async close(): Promise<void> {
    this.#closed = true;
    const connection = this.#connection;
    this.#connection = undefined;
    this.#failAll('the client is closed');
    const socket = await connection?.catch(() => undefined);
    socket?.destroy();
  }

  async createTopic(spec: TopicSpec): Promise<void> {
    await this.#request({ op: 'createTopic', ...spec });
  }

  async topics(): Promise<readonly TopicState[]> {
    const { header } = await this.#request({ op: 'topics' });
    return header.topics as readonly TopicState[];
  }

  async produce(topic: string, records: readonly KafkaRecord[]): Promise<void> {
    if (records.length === 0) return;
    await this.#request({ op: 'produce', topic }, encodeRecords(records));
  }

  async read(request: ReadRequest): Promise<readonly ConsumedRecord[]> {
    return consumed(await this.#request({ op: 'read', ...request }, undefined, request.waitMs));
  }

  async join(request: JoinRequest): Promise<number> {
    const { header } = await this.#request({ op: 'join', ...request });
    return header.member as number;
  }

  async poll(member: number, maxBytes: number, waitMs: number): Promise<readonly ConsumedRecord[]> {
    return consumed(await this.#request({ op: 'poll', member, maxBytes, waitMs }, undefined, waitMs));
  }

  async commit(member: number, partition: number, next: number): Promise<boolean> {
    const { header } = await this.#request({ op: 'commit', member, partition, next });
    return header.committed === true;
  }

  async leave(member: number): Promise<void> {
    await this.#request({ op: 'leave', member });
  }

  async #request(
    header: Readonly<Record<string, unknown>>,
    body?: Uint8Array,
    waitMs = 0,
  ): Promise<BrokerMessage> {
    const socket = await this.#connect();
    const id = this.#nextId++ >>> 0;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new BrokerFaultError(`the embedded broker did not answer within ${this.#timeoutMs} ms`));
      }, this.#timeoutMs + waitMs);
      this.#pending.set(id, { resolve, reject, timer });
      try {
        writeMessage(socket, id, header, body);
      } catch (error) {
        clearTimeout(timer);
        this.#pending.delete(id);
        reject(new RecordFaultError(errorMessage(error)));
      }
    });
  }

  #connect(): Promise<Socket> {
    if (this.#closed) throw new BrokerFaultError('the client of the embedded broker is closed');
    this.#connection ??= new Promise<Socket>((resolve, reject) => {
      const socket = connectTo(this.#path);
      const reader = new MessageReader();
      socket.once('connect', () => resolve(socket));
      socket.on('data', (piece) => {
        try {
          for (const message of reader.push(piece)) this.#settle(message);
        } catch (error) {
          socket.destroy(error as Error);
        }
      });
      let reason = 'the connection to the embedded broker ended';
      socket.on('error', (error) => {
        reason = `the embedded broker at ${this.#path} cannot be reached: ${error.message}`;
      });
      socket.on('close', () => {
        this.#connection = undefined;
        reject(new BrokerFaultError(reason));
        this.#failAll(reason);
      });
    });
    return this.#connection;
  }

  #settle(message: BrokerMessage): void {
    const pending = this.#pending.get(message.id);
    // Its time was over.
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    clearTimeout(pending.timer);
    const { fault, error } = message.header;
    if (fault === undefined) pending.resolve(message);
    else if (fault === 'record') pending.reject(new RecordFaultError(String(error)));
    else if (fault === 'topic') pending.reject(new TopicFaultError(String(error)));
    else pending.reject(new BrokerFaultError(String(error)));
  }

  #failAll(reason: string): void {
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(new BrokerFaultError(reason));
    }
    this.#pending.clear();
  }
}

function consumed({ header, body }: BrokerMessage): ConsumedRecord[] {
  const runs = header.runs as readonly [offset: number, count: number, timestamp: number][];
  if (runs.length === 0) return [];
  const topic = header.topic as string;
  const partition = header.partition as number;
  const records = decodeRecords(body);
  const result: ConsumedRecord[] = [];
  for (const [offset, count, timestamp] of runs) {
    for (let i = 0; i < count; i++) {
      const record = records[result.length];
      if (record === undefined) throw new BrokerFaultError('the embedded broker sent too few records');
      result.push({ ...record, topic, partition, offset: BigInt(offset + i), timestamp });
    }
  }
  return result;
}
