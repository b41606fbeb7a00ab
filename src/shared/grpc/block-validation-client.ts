/** The block validation service, told of every block that a peer announces. */

import { errorMessage } from '../errors.js';
import { BlockValidationAPIClient } from '../generated/blockvalidation_api.js';
import { type HashHex, hashToBytes } from '../hash.js';
import type { DependencyHealth, HealthChecked } from '../health.js';
import type { Settings } from '../settings/table.js';
import { callUnary } from './call.js';
import { type GrpcTlsSettings, openChannel } from './channel.js';

const RESOURCE = 'BlockValidationClient';

/** A block as a peer announced it. */
export interface FoundBlock {
  readonly hash: HashHex;
  /** Data hub to fetch it from. */
  readonly baseUrl: string;
  /** Base58 peer ID of the announcer. */
  readonly peerId: string;
}

export interface BlockValidationClient extends HealthChecked {
  /**
   * Tells the service of a block and does not wait for its validation. Within 2 s, with bounded retries; rejects with
   * the errors of `callUnary`.
   */
  blockFound(block: FoundBlock, signal?: AbortSignal): Promise<void>;
  close(): void;
}

export type BlockValidationSettings = GrpcTlsSettings & Pick<Settings, 'blockvalidation_grpcAddress'>;

export interface BlockValidationOptions {
  /** Milliseconds for one block, retries included; 2,000 unless told. */
  readonly deadlineMs?: number;
}

/**
 * The client for `blockvalidation_grpcAddress`, or, where that is empty, one whose health is "not configured". Throws
 * ConfigurationError; connects with the first call.
 */
export function createBlockValidationClient(
  settings: BlockValidationSettings,
  options: BlockValidationOptions = {},
): BlockValidationClient {
  return settings.blockvalidation_grpcAddress === ''
    ? new UnconfiguredBlockValidationClient()
    : new GrpcBlockValidationClient(settings, options);
}

export class GrpcBlockValidationClient implements BlockValidationClient {
  readonly #client: InstanceType<typeof BlockValidationAPIClient>;
  readonly #address: string;
  readonly #deadlineMs: number;

  constructor(settings: BlockValidationSettings, { deadlineMs = 2_000 }: BlockValidationOptions = {}) {
    this.#address = settings.blockvalidation_grpcAddress;
    this.#deadlineMs = deadlineMs;
    const channel = openChannel(this.#address, settings, 'blockvalidation_grpcAddress');
    this.#client = new BlockValidationAPIClient(channel.target, channel.credentials, channel.options);
  }

  async blockFound(block: FoundBlock, signal?: AbortSignal): Promise<void> {
    await callUnary(
      this.#client.blockFound.bind(this.#client),
      {
        hash: Buffer.from(hashToBytes(block.hash)),
        base_url: block.baseUrl,
        wait_to_complete: false,
        peer_id: block.peerId,
      },
      { deadlineMs: this.#deadlineMs, signal },
    );
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    try {
      const answer = await callUnary(
        this.#client.healthGrpc.bind(this.#client),
        {},
        { deadlineMs: 2_000, signal },
      );
      return answer.ok
        ? { resource: RESOURCE, status: 200, message: `serving at ${this.#address}` }
        : { resource: RESOURCE, status: 503, error: 'not healthy', message: answer.details };
    } catch (error) {
      return { resource: RESOURCE, status: 503, error: errorMessage(error), message: `at ${this.#address}` };
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** Where no validation service is set: blocks go nowhere, and health says so without failing. */
export class UnconfiguredBlockValidationClient implements BlockValidationClient {
  async blockFound(): Promise<void> {}

  async health(): Promise<DependencyHealth> {
    return { resource: RESOURCE, status: 200, message: 'not configured' };
  }

  close(): void {}
}
