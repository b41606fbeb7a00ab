/** What the block assembly service is at work on, for node_status. A nicety: its absence is never an error. */

import { monotonic } from '../clock.js';
import { errorMessage } from '../errors.js';
import type { BlockAssemblyAPIClient } from '../generated/blockassembly_api.js';
import type { Logger } from '../logging/logger.js';
import type { Settings } from '../settings/table.js';
import { Neighbour, type NeighbourComponents, type NeighbourSettings } from './neighbour.js';
import { AnyBlockAssemblyClient } from './older-answers.js';

export interface BlockAssemblyState {
  readonly txCount: bigint;
  readonly subtreeCount: number;
}

export type BlockAssemblySettings = NeighbourSettings & Pick<Settings, 'blockassembly_grpcAddress'>;

export interface BlockAssemblyOptions {
  /**
   * Milliseconds an answer, or a failure, is kept.
   * @default 5_000
   */
  readonly freshMs?: number;
  /**
   * Milliseconds a call may take.
   * @default 1_000
   */
  readonly deadlineMs?: number;
}

export class BlockAssemblyClient {
  readonly #service: Neighbour<BlockAssemblyAPIClient> | undefined;
  readonly #logger: Logger;
  readonly #freshMs: number;
  readonly #deadlineMs: number;
  #asked: { readonly at: number; readonly answer: Promise<BlockAssemblyState | undefined> } | undefined;
  #failing = false;

  /** Throws ConfigurationError; connects with the first call. An empty address is "not configured". */
  constructor(
    components: NeighbourComponents<BlockAssemblySettings>,
    { freshMs = 5_000, deadlineMs = 1_000 }: BlockAssemblyOptions = {},
  ) {
    const { settings, logger } = components;
    this.#logger = logger;
    this.#freshMs = freshMs;
    this.#deadlineMs = deadlineMs;
    if (settings.blockassembly_grpcAddress !== undefined) {
      this.#service = new Neighbour(components, {
        setting: 'blockassembly_grpcAddress',
        address: settings.blockassembly_grpcAddress,
        connect: ({ target, credentials, options }) =>
          new AnyBlockAssemblyClient(target, credentials, options),
        probe: (client) => client.getBlockAssemblyState,
        probeMs: deadlineMs,
      });
    }
  }

  /** The state, at most `freshMs` old, or undefined where there is no service or it does not answer. Never rejects. */
  state(): Promise<BlockAssemblyState | undefined> {
    const service = this.#service;
    if (service === undefined) return Promise.resolve(undefined);
    const now = monotonic();
    if (this.#asked === undefined || now - this.#asked.at >= this.#freshMs) {
      this.#asked = { at: now, answer: this.#ask(service) };
    }
    return this.#asked.answer;
  }

  close(): void {
    this.#service?.close();
  }

  async #ask(service: Neighbour<BlockAssemblyAPIClient>): Promise<BlockAssemblyState | undefined> {
    try {
      const policy = { deadlineMs: this.#deadlineMs, retries: 0 };
      const answer = await service.call((client) => client.getBlockAssemblyState, {}, policy);
      this.#failing = false;
      return { txCount: answer.txCount, subtreeCount: answer.subtreeCount };
    } catch (error) {
      // Once an outage, not once a status.
      if (!this.#failing)
        this.#logger.warn({ reason: errorMessage(error) }, 'block assembly does not answer');
      this.#failing = true;
      return undefined;
    }
  }
}
