/** How others on this machine find and order a server: the control socket, while it has `DATADIR`, and `run.json`, which names it once it is ready. */

import { UnavailableError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import { pidScope, type RunFile, writeRunFile } from '../../shared/process/run-file.js';
import type { HandOverAnswer } from '../control/hand-over.js';
import { type BackupSummary, controlSocketPath } from '../control/protocol.js';
import { ControlServer } from '../control/server.js';
import { AskedByFile } from '../hand-over/files.js';
import type { PublisherPool } from '../pipeline/publisher-pool.js';

/** What a server can be told to do while it is ready. */
export interface Commands {
  /** Absent: it has no outbox. */
  readonly publisher?: PublisherPool;
  /** Changes the level of every logger. */
  readonly setLogLevel: (level: string) => Promise<void>;
  /** Copies the data directory to `path`; absent: nothing in it is worth it. */
  readonly backUp?: (path: string) => Promise<BackupSummary>;
}

export interface RuntimeInfoComponents {
  readonly logger: Logger;
  /** Another server asks for the data directory. `request` is as it came. */
  readonly handOver: (request: unknown) => HandOverAnswer;
}

export interface RuntimeInfoOptions {
  /** DATADIR. */
  readonly directory: string;
  /** Whether it may be asked for by file too. */
  readonly askedByFile: boolean;
}

export class RuntimeInfo {
  readonly #control: ControlServer;
  readonly #asked: AskedByFile | undefined;
  readonly #directory: string;
  readonly #socketPath: string;
  #commands: Commands | undefined;
  #removeRunFile: () => void = () => {};

  constructor({ logger, handOver }: RuntimeInfoComponents, { directory, askedByFile }: RuntimeInfoOptions) {
    this.#directory = directory;
    this.#socketPath = controlSocketPath(directory);
    const ready = (): Commands => {
      if (this.#commands === undefined) {
        throw new UnavailableError('the server starts or stops: it is not ready');
      }
      return this.#commands;
    };
    const publisher = (): PublisherPool => {
      const { publisher } = ready();
      if (publisher === undefined) throw new UnavailableError('a gateway has no outbox');
      return publisher;
    };
    this.#asked = askedByFile ? new AskedByFile({ logger, answer: handOver }, directory) : undefined;
    this.#control = new ControlServer(
      {
        logger,
        handlers: {
          outbox: () => publisher().ask('outbox', {}),
          deadLetters: ({ limit }) => publisher().ask('deadLetters', { limit }),
          replayDeadLetters: () => publisher().ask('replayDeadLetters', {}),
          acceptLoss: ({ topic }) => publisher().ask('acceptLoss', { topic }),
          forget: ({ cursor }) => publisher().ask('forget', { cursor }),
          level: async ({ level }) => {
            await ready().setLogLevel(level);
            return { level };
          },
          backup: ({ path }) => {
            const { backUp } = ready();
            if (backUp === undefined) throw new UnavailableError('what a gateway keeps comes from the topic');
            return backUp(path);
          },
          handOver,
        },
      },
      { socketPath: this.#socketPath },
    );
  }

  /** Listens. The caller has the lock of the data directory. */
  async start(): Promise<void> {
    await this.#control.start();
    this.#asked?.start();
  }

  /** The server is ready. */
  announce(about: Omit<RunFile, 'pid' | 'place' | 'controlSocket'>, commands: Commands): void {
    this.#commands = commands;
    this.#removeRunFile = writeRunFile(this.#directory, {
      ...about,
      pid: process.pid,
      place: pidScope(),
      controlSocket: this.#socketPath,
    });
  }

  /** It is no longer. */
  withdraw(): void {
    this.#commands = undefined;
    this.#removeRunFile();
    this.#removeRunFile = () => {};
  }

  /** Goes on answering, and keeps no process running. */
  unref(): void {
    this.#control.unref();
  }

  /** Ends every connection: who waits for the directory may take its lock at once. */
  async stop(): Promise<void> {
    this.withdraw();
    this.#asked?.stop();
    await this.#control.stop();
  }
}
