/** The block validation service, told of every block that a peer announces. */

import { type HashHex, hashToBytes } from '../bitcoin/hash.js';
import { errorMessage } from '../errors.js';
import { BlockValidationAPIClient } from '../generated/blockvalidation_api.js';
import type { DependencyHealth, HealthChecked } from '../health.js';
import type { Settings } from '../settings/table.js';
import type { TraceParent } from '../tracing/types.js';
import { Neighbour, type NeighbourComponents, type NeighbourSettings } from './neighbour.js';

const RESOURCE = 'BlockValidationClient';

/** A block as a peer announced it. */
export interface FoundBlock {
  readonly hash: HashHex;
  /** Data hub to fetch it from. */
  readonly baseUrl: string;
  /** Base58 peer ID of the announcer. */
  readonly peerId: string;
  /** Of its announcement, where that is traced. */
  readonly trace?: TraceParent | undefined;
}

export interface BlockValidationClient extends HealthChecked {
  /**
   * Tells the service of a block and does not wait for its validation. Within 2 s, with bounded retries, and once more within as
   * much where the connection turns out to be dead; rejects with the errors of `callUnary`, or KeyRefusedError.
   */
  blockFound(block: FoundBlock, signal?: AbortSignal): Promise<void>;
  close(): void;
}

export type BlockValidationSettings = NeighbourSettings & Pick<Settings, 'blockvalidation_grpcAddress'>;

export interface BlockValidationOptions {
  /**
   * Milliseconds for one block, retries included.
   * @default 2_000
   */
  readonly deadlineMs?: number;
  /**
   * Milliseconds for the answer to whether a silent connection still leads to the service.
   * @default 2_000
   */
  readonly probeMs?: number;
}

/**
 * The client for `blockvalidation_grpcAddress`, or, where that is empty, one whose health is "not configured". Throws
 * ConfigurationError; connects with the first call.
 */
export function createBlockValidationClient(
  components: NeighbourComponents<BlockValidationSettings>,
  options: BlockValidationOptions = {},
): BlockValidationClient {
  return components.settings.blockvalidation_grpcAddress === undefined
    ? new UnconfiguredBlockValidationClient()
    : new GrpcBlockValidationClient(components, options);
}

export class GrpcBlockValidationClient implements BlockValidationClient {
  readonly #service: Neighbour<InstanceType<typeof BlockValidationAPIClient>>;
  readonly #deadlineMs: number;

  constructor(
    components: NeighbourComponents<BlockValidationSettings>,
    { deadlineMs = 2_000, probeMs = 2_000 }: BlockValidationOptions = {},
  ) {
    this.#deadlineMs = deadlineMs;
    this.#service = new Neighbour(components, {
      setting: 'blockvalidation_grpcAddress',
      address: components.settings.blockvalidation_grpcAddress,
      connect: ({ target, credentials, options }) =>
        new BlockValidationAPIClient(target, credentials, options),
      probe: (client) => client.healthGrpc,
      probeMs,
    });
  }

  async blockFound(block: FoundBlock, signal?: AbortSignal): Promise<void> {
    await this.#service.call(
      (client) => client.blockFound,
      {
        hash: Buffer.from(hashToBytes(block.hash)),
        base_url: block.baseUrl,
        wait_to_complete: false,
        peer_id: block.peerId,
      },
      { deadlineMs: this.#deadlineMs, signal, onceMore: true, trace: block.trace },
    );
  }

  async health(signal: AbortSignal): Promise<DependencyHealth> {
    const { address } = this.#service;
    try {
      const policy = { deadlineMs: 2_000, signal };
      const answer = await this.#service.call((client) => client.healthGrpc, {}, policy);
      return answer.ok
        ? { resource: RESOURCE, status: 200, message: `serving at ${address}` }
        : { resource: RESOURCE, status: 503, error: `${address} is not healthy`, message: answer.details };
    } catch (error) {
      return {
        resource: RESOURCE,
        status: 503,
        error: errorMessage(error),
        message: 'blockvalidation_grpcAddress',
      };
    }
  }

  close(): void {
    this.#service.close();
  }
}

/** Where no validation service is set: blocks go nowhere, and health says so without failing. */
class UnconfiguredBlockValidationClient implements BlockValidationClient {
  async blockFound(): Promise<void> {}

  async health(): Promise<DependencyHealth> {
    return { resource: RESOURCE, status: 200, message: 'not configured' };
  }

  close(): void {}
}
