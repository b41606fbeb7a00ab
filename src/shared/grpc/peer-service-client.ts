/** PeerService from the outside: what the command line and other programs call. */

import { Metadata } from '@grpc/grpc-js';
import { PeerServiceClient as GeneratedClient, type Peer } from '../generated/p2p_api.js';
import { type CallPolicy, callUnary, type UnaryMethod } from './call.js';
import { type GrpcTlsSettings, openChannel } from './channel.js';

export type { Peer };

export interface PeerServiceClientOptions {
  /** Sent as x-api-key with admin calls; they fail with UNAUTHENTICATED without it. */
  readonly adminKey?: string;
  /** Milliseconds for one call; 5,000 unless told, for `connectPeer` 20,000. */
  readonly deadlineMs?: number;
  readonly tls?: GrpcTlsSettings;
}

export interface ConnectionResult {
  readonly success: boolean;
  /** Why not; empty on success. */
  readonly error: string;
}

const PLAIN: GrpcTlsSettings = {
  security_level_grpc: 0,
  grpc_ca_file: '',
  grpc_cert_file: '',
  grpc_key_file: '',
};
const CONNECT_MS = 20_000;

/**
 * A client of PeerService, every call a promise. Calls reject with UnavailableError (nobody there, or a ban in force but not
 * stored), DeadlineError, AbortedError, or RpcError with its gRPC code. Reads are tried again while the service is away.
 */
export class PeerServiceClient {
  readonly #client: GeneratedClient;
  readonly #adminKey: string | undefined;
  readonly #deadlineMs: number | undefined;

  /** `address` is `host:port` or `k8s:///host:port`. Throws ConfigurationError when it does not parse. */
  constructor(address: string, options: PeerServiceClientOptions = {}) {
    const channel = openChannel(address, options.tls ?? PLAIN, 'p2p_grpcAddress');
    this.#client = new GeneratedClient(channel.target, channel.credentials, channel.options);
    this.#adminKey = options.adminKey;
    this.#deadlineMs = options.deadlineMs;
  }

  async getPeers(signal?: AbortSignal): Promise<Peer[]> {
    return (await this.#read(this.#client.getPeers.bind(this.#client), {}, signal)).peers;
  }

  /** `until` in unix seconds; 0 for the server's p2p_ban_duration. */
  async banPeer(subject: string, until = 0n, signal?: AbortSignal): Promise<boolean> {
    const request = { addr: subject, until };
    return (await this.#admin(this.#client.banPeer.bind(this.#client), request, signal)).ok;
  }

  /** Rejects with RpcError FAILED_PRECONDITION, naming the subnet, when a ban of that still covers the address. */
  async unbanPeer(subject: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.#admin(this.#client.unbanPeer.bind(this.#client), { addr: subject }, signal)).ok;
  }

  async isBanned(subject: string, signal?: AbortSignal): Promise<boolean> {
    const request = { ipOrSubnet: subject };
    return (await this.#read(this.#client.isBanned.bind(this.#client), request, signal)).isBanned;
  }

  async listBanned(signal?: AbortSignal): Promise<string[]> {
    return (await this.#read(this.#client.listBanned.bind(this.#client), {}, signal)).banned;
  }

  async clearBanned(signal?: AbortSignal): Promise<boolean> {
    return (await this.#admin(this.#client.clearBanned.bind(this.#client), {}, signal)).ok;
  }

  async addBanScore(peerId: string, reason: string, signal?: AbortSignal): Promise<boolean> {
    const request = { peer_id: peerId, reason };
    return (await this.#admin(this.#client.addBanScore.bind(this.#client), request, signal)).ok;
  }

  async connectPeer(multiaddr: string, signal?: AbortSignal): Promise<ConnectionResult> {
    const request = { peer_address: multiaddr };
    const deadlineMs = this.#deadlineMs ?? CONNECT_MS;
    return this.#admin(this.#client.connectPeer.bind(this.#client), request, signal, { deadlineMs });
  }

  async disconnectPeer(peerId: string, signal?: AbortSignal): Promise<ConnectionResult> {
    return this.#admin(this.#client.disconnectPeer.bind(this.#client), { peer_id: peerId }, signal);
  }

  close(): void {
    this.#client.close();
  }

  #policy(signal: AbortSignal | undefined): CallPolicy {
    return { signal, ...(this.#deadlineMs === undefined ? {} : { deadlineMs: this.#deadlineMs }) };
  }

  #read<Q, R>(method: UnaryMethod<Q, R>, request: Q, signal: AbortSignal | undefined): Promise<R> {
    return callUnary(method, request, this.#policy(signal));
  }

  #admin<Q, R>(
    method: UnaryMethod<Q, R>,
    request: Q,
    signal: AbortSignal | undefined,
    policy: CallPolicy = {},
  ): Promise<R> {
    const metadata = new Metadata();
    if (this.#adminKey !== undefined) metadata.set('x-api-key', this.#adminKey);
    // Said once: what could not be stored is the operator's to know at once.
    return callUnary(method, request, { ...this.#policy(signal), retries: 0, ...policy }, metadata);
  }
}
