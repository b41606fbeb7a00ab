/** Servers of one process on one `DATADIR`, one after the other: each until another process has it, and the next where that one did not keep it. */

import { AbortedError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { DataDirectory } from '../data-directory/data-directory.js';
import { takeBack } from './take-back.js';
import type { Tenure } from './tenure.js';

/** A server that may hand the directory over. */
export interface HoldingServer {
  init(): Promise<void>;
  start(): Promise<void>;
  /** Never rejects. */
  stop(): Promise<void>;
  readonly handingOver: boolean;
  readonly handedOver: Promise<unknown>;
}

export interface LivesComponents<Server extends HoldingServer> {
  readonly logger: Logger;
  readonly tenure: Tenure;
  /** A server that is not initialised; on `directory`, where it is open already. */
  readonly compose: (directory: DataDirectory | undefined) => Server;
}

export interface LivesOptions<Server extends HoldingServer> {
  /** `DATADIR`. */
  readonly path: string;
  /** A server is ready. */
  readonly ready?: (server: Server) => void;
}

export class Lives<Server extends HoldingServer> {
  readonly #components: LivesComponents<Server>;
  readonly #options: LivesOptions<Server>;
  readonly #over = new AbortController();
  #server: Server;

  /** Throws what `compose` throws. */
  constructor(components: LivesComponents<Server>, options: LivesOptions<Server>) {
    this.#components = components;
    this.#options = options;
    this.#server = components.compose(undefined);
  }

  /** The present one, or the last. */
  get server(): Server {
    return this.#server;
  }

  /**
   * Serves until `stop`. Rejects with what a start or taking the directory back fails of, and where a hand-over could not be ended: then `server.handingOver`, the
   * process is to end at once, and only its end gives the lock up.
   */
  async run(): Promise<never> {
    const { tenure, logger, compose } = this.#components;
    for (;;) {
      await this.#live();
      const directory = await takeBack(this.#options.path, this.#over.signal);
      tenure.tookBack();
      logger.warn('DATADIR lay free: this server takes it back');
      await this.#server.stop();
      if (this.#over.signal.aborted) {
        await directory.close();
        throw new AbortedError('stopped while DATADIR was taken back');
      }
      this.#server = compose(directory);
    }
  }

  /** Resolves when the server has handed the directory over. */
  async #live(): Promise<void> {
    const server = this.#server;
    const serves = async (): Promise<void> => {
      await server.init();
      await server.start();
      this.#options.ready?.(server);
    };
    try {
      // A start that does not end must not keep from whoever runs this that the hand-over failed of it.
      await Promise.race([serves(), server.handedOver]);
    } catch (error) {
      if (!server.handingOver) throw error;
    }
    await server.handedOver;
  }

  /** Never rejects. */
  stop(): Promise<void> {
    this.#over.abort();
    return this.#server.stop();
  }
}
