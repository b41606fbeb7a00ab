/** The embedded broker, reached through its local socket. */

import type { Socket } from 'node:net';
import { errorMessage } from '../../../errors.js';
import { Correlator } from '../../../ipc/correlator.js';
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
  /**
   * Milliseconds until an answer must be there, beyond what the request itself waits.
   * @default 10_000
   */
  readonly timeoutMs?: number;
}

/**
 * Connects with the first request and again with the first after a break. What was under way at a break rejects with
 * BrokerFaultError.
 */
export class EmbeddedBrokerClient implements BrokerPort {
  readonly #path: string;
  readonly #timeoutMs: number;
  readonly #requests = new Correlator<BrokerMessage>();
  #connection: Promise<Socket> | undefined;
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
    this.#requests.refuseAll(new BrokerFaultError('the client is closed'));
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
    const send = (id: number): void => {
      try {
        writeMessage(socket, id, header, body);
      } catch (error) {
        throw new RecordFaultError(errorMessage(error));
      }
    };
    const late = (): Error =>
      new BrokerFaultError(`the embedded broker did not answer within ${this.#timeoutMs} ms`);
    return this.#requests.ask(send, { timeoutMs: this.#timeoutMs + waitMs, late });
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
        this.#requests.refuseAll(new BrokerFaultError(reason));
      });
    });
    return this.#connection;
  }

  /** One whose time was over finds nobody. */
  #settle(message: BrokerMessage): void {
    const { fault, error } = message.header;
    if (fault === undefined) this.#requests.answer(message.id, message);
    else this.#requests.refuse(message.id, faultOf(fault, String(error)));
  }
}

/** The server's `faultOf`, read back. */
function faultOf(fault: unknown, message: string): Error {
  if (fault === 'record') return new RecordFaultError(message);
  return fault === 'topic' ? new TopicFaultError(message) : new BrokerFaultError(message);
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
