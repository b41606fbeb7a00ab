/** A blockchain service on real gRPC that does as a test tells it. */

import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  status as Status,
} from '@grpc/grpc-js';
import { type HashHex, hashToBytes } from '../../src/shared/bitcoin/hash.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import {
  type BlockchainAPIServer,
  BlockchainAPIService,
  FSMStateType,
  GetBlockHeaderResponse,
  Notification,
  type SubscribeRequest,
} from '../../src/shared/generated/blockchain_api.js';
import { NotificationType } from '../../src/shared/generated/model.js';
import { freePorts } from './ports.js';

type Method = 'health' | 'best' | 'header' | 'fsm' | 'wait' | 'getState' | 'setState';

export class BlockchainService {
  readonly headers = new Map<HashHex, GetBlockHeaderResponse>();
  readonly states = new Map<string, Buffer>();
  /** Calls by method, refused ones too. */
  readonly calls = new Map<Method | 'subscribe', number>();
  /** Open notification streams. */
  readonly streams = new Set<ServerWritableStream<SubscribeRequest, Notification>>();
  best: HashHex | undefined;
  fsm: FSMStateType = FSMStateType.RUNNING;
  /** Milliseconds before each answer. */
  delayMs = 0;
  healthy = true;
  /** Methods that are never answered. */
  readonly ignored = new Set<Method>();
  /** Where set, calls without this x-api-key are refused, HealthGRPC's aside, as by the newest of Teranode's services. */
  apiKey: string | undefined;
  /** Who called, and with which x-api-key. */
  readonly callers: {
    readonly method: Method | 'subscribe';
    readonly key: string | undefined;
    readonly peer: string;
  }[] = [];
  /** False: a subscription is taken and never answered, not even with its opening block. */
  opens = true;
  /** Called as a subscription is taken, before its opening block. */
  onSubscribe: () => void = () => {};
  #failures: { method: Method; code: Status; left: number; metadata?: Metadata }[] = [];
  #leaveIdle: (() => void)[] = [];
  /** False: the wait for the end of IDLE is answered at once, whatever the state. */
  waits = true;
  #server: Server | undefined;
  #port: number;

  /** `port`: 0 for one that is free. */
  constructor(port = 0) {
    this.#port = port;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Listens; after a stop on the same port again. */
  async start(credentials = ServerCredentials.createInsecure()): Promise<void> {
    // One that nobody takes while the service is stopped.
    if (this.#port === 0) [this.#port = 0] = await freePorts(1);
    const server = new Server();
    server.addService(BlockchainAPIService, this.#handlers());
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.#port}`, credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
    this.#server = server;
  }

  /** Cuts every connection. */
  stop(): void {
    this.#server?.forceShutdown();
    this.#server = undefined;
    this.streams.clear();
  }

  /** The next `times` calls of `method` end with `code`. */
  fail(method: Method, code: Status, times: number, metadata?: Metadata): void {
    this.#failures.push({ method, code, left: times, ...(metadata === undefined ? {} : { metadata }) });
  }

  /** Adds a header to the chain, as the best unless told. */
  add(header: Uint8Array, fields: Partial<GetBlockHeaderResponse> = {}, best = true): HashHex {
    const hash = headerHash(header);
    this.headers.set(
      hash,
      GetBlockHeaderResponse.fromPartial({ blockHeader: Buffer.from(header), ...fields } as never),
    );
    if (best) this.best = hash;
    return hash;
  }

  /** Tells every subscriber. */
  notify(type: NotificationType | number, hash: HashHex | '' = '', metadata?: Record<string, string>): void {
    const notification = Notification.fromPartial({
      type: type as NotificationType,
      hash: hash === '' ? Buffer.alloc(0) : Buffer.from(hashToBytes(hash)),
      base_URL: '',
      ...(metadata === undefined ? {} : { metadata: { metadata } }),
    });
    for (const stream of this.streams) stream.write(notification);
  }

  leaveIdle(): void {
    this.fsm = FSMStateType.RUNNING;
    for (const resolve of this.#leaveIdle.splice(0)) resolve();
  }

  /** Counts the call; what it is refused with for its key. */
  #take(
    method: Method | 'subscribe',
    call: { readonly metadata: Metadata; getPeer(): string },
  ): { code: Status; details: string } | undefined {
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1);
    const key = call.metadata.get('x-api-key')[0]?.toString();
    this.callers.push({ method, key, peer: call.getPeer() });
    if (this.apiKey === undefined || method === 'health' || key === this.apiKey) return undefined;
    return {
      code: Status.UNAUTHENTICATED,
      details: key === undefined ? 'missing API key' : `invalid API key ${key}`,
    };
  }

  #unary<Q, R>(method: Method, answer: (request: Q) => R | Promise<R>): handleUnaryCall<Q, R> {
    return (call, callback) => {
      const refusal = this.#take(method, call);
      if (refusal !== undefined) {
        callback(refusal);
        return;
      }
      if (this.ignored.has(method)) return;
      const failure = this.#failures.find((entry) => entry.method === method && entry.left > 0);
      if (failure !== undefined) {
        failure.left--;
        callback({ code: failure.code, details: 'as told', metadata: failure.metadata ?? new Metadata() });
        return;
      }
      const reply = async (): Promise<void> => {
        try {
          callback(null, await answer(call.request));
        } catch (error) {
          callback({ code: (error as { code?: Status }).code ?? Status.INTERNAL, details: 'refused' });
        }
      };
      // What was asked of a slow service keeps no test from ending.
      setTimeout(() => void reply(), this.delayMs).unref();
    };
  }

  #header(hash: HashHex | undefined): GetBlockHeaderResponse {
    const header = hash === undefined ? undefined : this.headers.get(hash);
    if (header === undefined) throw Object.assign(new Error('no such block'), { code: Status.NOT_FOUND });
    return header;
  }

  #handlers(): BlockchainAPIServer {
    return {
      healthGrpc: this.#unary('health', () => ({
        ok: this.healthy,
        details: this.healthy ? '' : 'store down',
        timestamp: new Date(),
      })),
      getBestBlockHeader: this.#unary('best', () => this.#header(this.best)),
      getBlockHeader: this.#unary('header', ({ blockHash }: { blockHash: Buffer }) =>
        this.#header(Buffer.from(blockHash).reverse().toString('hex') as HashHex),
      ),
      getFsmCurrentState: this.#unary('fsm', () => ({ state: this.fsm })),
      waitUntilFsmTransitionFromIdleState: this.#unary('wait', async () => {
        if (this.waits && this.fsm === FSMStateType.IDLE) {
          await new Promise<void>((resolve) => this.#leaveIdle.push(resolve));
        }
        return {};
      }),
      getState: this.#unary('getState', ({ key }: { key: string }) => {
        const data = this.states.get(key);
        if (data === undefined) throw Object.assign(new Error('no state'), { code: Status.NOT_FOUND });
        return { data };
      }),
      setState: this.#unary('setState', ({ key, data }: { key: string; data: Buffer }) => {
        this.states.set(key, data);
        return {};
      }),
      subscribe: (stream) => {
        const refusal = this.#take('subscribe', stream);
        if (refusal !== undefined) {
          stream.emit('error', refusal);
          return;
        }
        this.onSubscribe();
        this.streams.add(stream);
        stream.on('close', () => this.streams.delete(stream));
        stream.on('cancelled', () => {
          this.streams.delete(stream);
          stream.end();
        });
        if (this.opens && this.best !== undefined) {
          stream.write(
            Notification.fromPartial({
              type: NotificationType.Block,
              hash: Buffer.from(hashToBytes(this.best)),
            }),
          );
        }
      },
    };
  }
}
