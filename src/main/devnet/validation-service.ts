/** A block validation service that believes everything, over real gRPC: the development network's neighbour. */

import { Server, ServerCredentials, status as Status } from '@grpc/grpc-js';
import { hashFromBytes } from '../../shared/bitcoin/hash.js';
import { wall } from '../../shared/clock.js';
import {
  type BlockValidationAPIServer,
  BlockValidationAPIService,
} from '../../shared/generated/blockvalidation_api.js';
import type { FoundBlock } from '../../shared/grpc/block-validation-client.js';
import type { Logger } from '../../shared/logging/logger.js';

export interface ValidationServiceOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen?: string;
  /** Each block as it is told. */
  readonly onBlockFound?: (block: FoundBlock) => void;
}

export class EmbeddedValidationService {
  readonly #logger: Logger;
  readonly #options: ValidationServiceOptions;
  #server: Server | undefined;
  #port = 0;
  #blocks = 0;

  constructor({ logger }: { readonly logger: Logger }, options: ValidationServiceOptions = {}) {
    this.#logger = logger;
    this.#options = options;
  }

  /** Calls of BlockFound so far. */
  get blocks(): number {
    return this.#blocks;
  }

  /** The port listened on, 0 before the start. */
  get port(): number {
    return this.#port;
  }

  /** Rejects when the address is taken. */
  async start(): Promise<void> {
    const server = new Server();
    server.addService(BlockValidationAPIService, this.#handlers());
    this.#port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(
        this.#options.listen ?? '127.0.0.1:0',
        ServerCredentials.createInsecure(),
        (error, port) => {
          if (error === null) resolve(port);
          else reject(error);
        },
      );
    });
    this.#server = server;
    this.#logger.info({ port: this.#port }, 'embedded block validation listens');
  }

  /** Finishes the calls under way for a second, then cuts them. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => server.forceShutdown(), 1_000);
      server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  #handlers(): BlockValidationAPIServer {
    return {
      healthGrpc: (_call, answer) =>
        answer(null, { ok: true, details: 'embedded', timestamp: new Date(wall.told()) }),
      blockFound: (call, answer) => {
        const { hash, base_url: baseUrl, peer_id: peerId } = call.request;
        if (hash.length !== 32) {
          answer({ code: Status.INVALID_ARGUMENT, details: `a hash of ${hash.length} bytes` });
          return;
        }
        this.#blocks++;
        const block: FoundBlock = { hash: hashFromBytes(hash), baseUrl, peerId };
        this.#logger.debug({ ...block }, 'block found');
        this.#options.onBlockFound?.(block);
        answer(null, {});
      },
    };
  }
}
