/** How others on this machine find and order a running server: the control socket, and `run.json`, which names it. */

import { localSocketPath } from '../shared/frames/socket-path.js';
import type { Logger } from '../shared/logging.js';
import { type RunFile, writeRunFile } from '../shared/run-file.js';
import { ControlServer } from './control/server.js';
import type { PublisherPool } from './pipeline/publisher-pool.js';

export interface PresenceComponents {
  readonly logger: Logger;
  readonly publisher: PublisherPool;
  /** Changes the level of every logger. */
  readonly setLogLevel: (level: string) => Promise<void>;
}

export class Presence {
  readonly #control: ControlServer;
  readonly #directory: string;
  readonly #socketPath: string;
  #removeRunFile: () => void = () => {};

  /** `directory` is DATADIR. */
  constructor({ logger, publisher, setLogLevel }: PresenceComponents, directory: string) {
    this.#directory = directory;
    this.#socketPath = localSocketPath(directory, 'control.sock');
    this.#control = new ControlServer(
      {
        logger,
        handlers: {
          outbox: () => publisher.ask('outbox', {}),
          deadLetters: ({ limit }) => publisher.ask('deadLetters', { limit }),
          replayDeadLetters: () => publisher.ask('replayDeadLetters', {}),
          acceptLoss: ({ topic }) => publisher.ask('acceptLoss', { topic }),
          forget: ({ cursor }) => publisher.ask('forget', { cursor }),
          level: async ({ level }) => {
            await setLogLevel(level);
            return { level };
          },
        },
      },
      { socketPath: this.#socketPath },
    );
  }

  async start(about: Omit<RunFile, 'pid' | 'controlSocket'>): Promise<void> {
    await this.#control.start();
    this.#removeRunFile = writeRunFile(this.#directory, {
      ...about,
      pid: process.pid,
      controlSocket: this.#socketPath,
    });
  }

  async stop(): Promise<void> {
    this.#removeRunFile();
    await this.#control.stop();
  }
}
