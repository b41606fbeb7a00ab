/** The blockchain service over gRPC. */

import { makeGenericClientConstructor, status as Status } from '@grpc/grpc-js';
import { pause } from '../../shared/async/pause.js';
import { type HashHex, hashFromBytes, hashToBytes } from '../../shared/bitcoin/hash.js';
import { HEADER_LENGTH, headerHash } from '../../shared/bitcoin/header.js';
import { errorMessage } from '../../shared/errors.js';
import {
  type BlockchainAPIClient,
  FSMStateType,
  type GetBlockHeaderResponse,
  type Notification,
} from '../../shared/generated/blockchain_api.js';
import { NotificationType } from '../../shared/generated/model.js';
import {
  PeerRegistryServiceClient,
  PeerRegistryServiceService,
} from '../../shared/generated/peer_registry.js';
import { NotFoundError, RpcError, type UnaryMethod, untilItAnswers } from '../../shared/grpc/call.js';
import type { Channel } from '../../shared/grpc/channel.js';
import { Neighbour, type NeighbourComponents, type NeighbourSettings } from '../../shared/grpc/neighbour.js';
import { AnyBlockchainClient } from '../../shared/grpc/older-answers.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { Settings } from '../../shared/settings/table.js';
import type { PeerRegistryCalls } from './peer-registry-calls.js';
import type { BlockchainClient, BlockHeaderInfo, ChainNotification, FsmState } from './types.js';

const RESOURCE = 'BlockchainClient';

export type BlockchainSettings = NeighbourSettings & Pick<Settings, 'blockchain_grpcAddress'>;

export interface GrpcBlockchainOptions {
  /**
   * Milliseconds for one call, retries included.
   * @default 5_000
   */
  readonly deadlineMs?: number;
  /**
   * Milliseconds one wait for the end of IDLE is left open before it is asked anew.
   * @default 60_000
   */
  readonly idleWaitMs?: number;
  /**
   * Milliseconds between two attempts while waiting for a service that is away.
   * @default 1_000
   */
  readonly absentRetryMs?: number;
  /**
   * Milliseconds for the answer to whether a silent connection still leads to the service.
   * @default 2_000
   */
  readonly probeMs?: number;
}

/** Of an answer of the registry, which is decoded in one go: some ten times what 20,000 peers take. */
const MAX_REGISTRY_ANSWER = 64 * 1024 * 1024;

/** `PeerRegistryServiceClient` whose calls fail on longer answers. */
const BoundedRegistryClient = makeGenericClientConstructor(
  Object.fromEntries(
    Object.entries(PeerRegistryServiceService).map(([name, method]) => [
      name,
      {
        ...method,
        responseDeserialize: (bytes: Buffer): unknown => {
          if (bytes.length <= MAX_REGISTRY_ANSWER) return method.responseDeserialize(bytes);
          throw new RangeError(`an answer of ${bytes.length} bytes, ${MAX_REGISTRY_ANSWER} at the most`);
        },
      },
    ]),
  ) as typeof PeerRegistryServiceService,
  PeerRegistryServiceClient.serviceName,
) as unknown as typeof PeerRegistryServiceClient;

/** Both services of one address, over one channel. */
type BlockchainService = BlockchainAPIClient & {
  readonly peers: InstanceType<typeof PeerRegistryServiceClient>;
};

function connect({ target, credentials, options }: Channel): BlockchainService {
  const client = new AnyBlockchainClient(target, credentials, options);
  const channelOverride = client.getChannel();
  return Object.assign(client, {
    peers: new BoundedRegistryClient(target, credentials, { ...options, channelOverride }),
  });
}

export class GrpcBlockchainClient implements BlockchainClient {
  /** The service's registry of peers. Nothing is tried twice, and a slow answer says nothing of the connection. */
  readonly peerRegistry: PeerRegistryCalls = {
    call: (method, request, { deadlineMs = this.#deadlineMs, signal } = {}) => {
      const policy = { deadlineMs, retries: 0, patient: true, signal };
      // Each method's types are those of the call, which TypeScript does not follow through a method's name.
      const select = ({ peers }: BlockchainService) => {
        const unbound = peers[method] as unknown as UnaryMethod<never, never> & { readonly path: string };
        return Object.assign(unbound.bind(peers), { path: unbound.path });
      };
      return this.#service.call(select, request as never, policy);
    },
  };
  readonly #service: Neighbour<BlockchainService>;
  readonly #logger: Logger;
  readonly #deadlineMs: number;
  readonly #idleWaitMs: number;
  readonly #absentRetryMs: number;

  /** Throws ConfigurationError for an address or TLS files that cannot be used; connects with the first call. */
  constructor(
    components: NeighbourComponents<BlockchainSettings>,
    {
      deadlineMs = 5_000,
      idleWaitMs = 60_000,
      absentRetryMs = 1_000,
      probeMs = 2_000,
    }: GrpcBlockchainOptions = {},
  ) {
    this.#logger = components.logger;
    this.#deadlineMs = deadlineMs;
    this.#idleWaitMs = idleWaitMs;
    this.#absentRetryMs = absentRetryMs;
    this.#service = new Neighbour(components, {
      setting: 'blockchain_grpcAddress',
      address: components.settings.blockchain_grpcAddress,
      connect,
      // Not its health, for which the service asks others in turn: a slow store would cost the notifications.
      probe: (client) => client.getFsmCurrentState,
      probeMs,
    });
  }

  async getBestBlockHeader(signal?: AbortSignal): Promise<BlockHeaderInfo> {
    const policy = { deadlineMs: this.#deadlineMs, signal };
    return headerInfo(await this.#service.call((client) => client.getBestBlockHeader, {}, policy));
  }

  /** Rejects with NotFoundError when the service does not know the block. */
  async getBlockHeader(hash: HashHex, signal?: AbortSignal): Promise<BlockHeaderInfo> {
    const request = { blockHash: Buffer.from(hashToBytes(hash)) };
    const policy = { deadlineMs: this.#deadlineMs, signal };
    const info = headerInfo(await this.#service.call((client) => client.getBlockHeader, request, policy));
    if (info.hash !== hash) throw malformed(`asked for block ${hash}, got ${info.hash}`);
    return info;
  }

  async *subscribe(source: string, signal: AbortSignal): AsyncIterable<ChainNotification> {
    const notifications = this.#service.stream<Notification>(
      (client, metadata) => client.subscribe({ source }, metadata),
      signal,
    );
    for await (const notification of notifications) yield chainNotification(notification);
  }

  async getFsmState(signal?: AbortSignal): Promise<FsmState> {
    const policy = { deadlineMs: this.#deadlineMs, signal };
    return fsmStateOf((await this.#service.call((client) => client.getFsmCurrentState, {}, policy)).state);
  }

  /** Waits as long as it takes, through absences of the service too. Rejects with AbortedError alone. */
  async waitUntilNotIdle(signal: AbortSignal): Promise<void> {
    const leftIdle = async (): Promise<boolean> => {
      if ((await this.getFsmState(signal)) !== 'IDLE') return true;
      await this.#service.call(
        (client) => client.waitUntilFsmTransitionFromIdleState,
        {},
        { deadlineMs: this.#idleWaitMs, retries: 0, signal, patient: true },
      );
      if ((await this.getFsmState(signal)) !== 'IDLE') return true;
      // The answer should mean that IDLE is over; where it does not, it must not be asked for without a pause.
      await pause(this.#absentRetryMs, { signal });
      return false;
    };
    const patience = { signal, logger: this.#logger, retryMs: this.#absentRetryMs };
    while (!(await untilItAnswers(leftIdle, patience)));
  }

  async getState(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    try {
      const policy = { deadlineMs: this.#deadlineMs, signal };
      return (await this.#service.call((client) => client.getState, { key }, policy)).data;
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
  }

  async setState(key: string, data: Uint8Array): Promise<void> {
    const request = { key, data: Buffer.from(data) };
    await this.#service.call((client) => client.setState, request, { deadlineMs: this.#deadlineMs });
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
        message: 'blockchain_grpcAddress',
      };
    }
  }

  async close(): Promise<void> {
    this.#service.close();
  }
}

function malformed(message: string): RpcError {
  return new RpcError(message, Status.INTERNAL, 'INTERNAL');
}

/** Throws RpcError for an answer without a whole header. */
function headerInfo(answer: GetBlockHeaderResponse): BlockHeaderInfo {
  const header = answer.blockHeader;
  if (header.length !== HEADER_LENGTH) {
    throw malformed(`the blockchain service sent a header of ${header.length} bytes`);
  }
  return {
    hash: headerHash(header),
    header,
    height: answer.height,
    txCount: answer.tx_count,
    sizeInBytes: answer.size_in_bytes,
    miner: answer.miner,
    chainWork: answer.chain_work,
    invalid: answer.invalid,
  };
}

function fsmStateOf(state: FSMStateType): FsmState {
  switch (state) {
    case FSMStateType.IDLE:
      return 'IDLE';
    case FSMStateType.RUNNING:
      return 'RUNNING';
    case FSMStateType.CATCHINGBLOCKS:
      return 'CATCHINGBLOCKS';
    case FSMStateType.LEGACYSYNCING:
      return 'LEGACYSYNCING';
    default:
      return 'UNKNOWN';
  }
}

const HASHED = new Map<NotificationType, 'block' | 'subtree' | 'mining_on'>([
  [NotificationType.Block, 'block'],
  [NotificationType.Subtree, 'subtree'],
  [NotificationType.MiningOn, 'mining_on'],
]);

/** Types that mean nothing here, those of the future, and those without the hash they need become `other`. */
function chainNotification(notification: Notification): ChainNotification {
  const metadata = notification.metadata?.metadata ?? {};
  const hashed = HASHED.get(notification.type);
  if (hashed !== undefined) {
    if (notification.hash.length !== 32) return { type: 'other' };
    return { type: hashed, hash: hashFromBytes(notification.hash), baseUrl: notification.base_URL };
  }
  switch (notification.type) {
    case NotificationType.PING:
      return { type: 'ping' };
    case NotificationType.FSMState:
      return {
        type: 'fsm_state',
        event: metadata.event ?? '',
        destination: metadata.destination ?? '',
      };
    case NotificationType.PeerFailure:
      return {
        type: 'peer_failure',
        peerId: metadata.peer_id ?? '',
        failureType: metadata.failure_type ?? '',
        reason: metadata.reason ?? '',
      };
    default:
      return { type: 'other' };
  }
}
