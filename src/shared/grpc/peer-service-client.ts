/** PeerService from the outside: what the command line and other programs call. */

import { Metadata } from '@grpc/grpc-js';
import { ConfigurationError, errorMessage } from '../errors.js';
import {
  PeerServiceClient as GeneratedClient,
  type Peer,
  type PeerInfoForCatchup,
  type PeerRegistryInfo,
} from '../generated/p2p_api.js';
import { type DialAddress, parseServiceAddress } from '../net/listen-address.js';
import { type CallPolicy, callUnary, type UnaryMethod } from './call.js';
import { openChannel } from './channel.js';
import type { GrpcTlsSettings } from './tls-settings.js';

export type { Peer, PeerInfoForCatchup, PeerRegistryInfo };

export interface PeerServiceClientOptions {
  /** Sent as x-api-key with admin calls; they fail with UNAUTHENTICATED without it. */
  readonly adminKey?: string;
  /**
   * Milliseconds for one call.
   * @default 5_000, for `connectPeer` 20_000
   */
  readonly deadlineMs?: number;
  readonly tls?: GrpcTlsSettings;
}

export interface Ban {
  /** An address, a subnet or a base58 peer ID. */
  readonly subject: string;
  /** The peer with which an address was banned by score. */
  readonly peer: string | undefined;
  /** When it ends. This and the following are undefined of a server that does not tell them, as Teranode's own. */
  readonly until: Date | undefined;
  readonly by: 'operator' | 'score' | undefined;
  /** Why; also undefined where nobody said. */
  readonly reason: string | undefined;
}

export interface ConnectionResult {
  readonly success: boolean;
  /** Why not; empty on success. */
  readonly error: string;
}

export interface ReportResult {
  readonly success: boolean;
  readonly message: string;
}

export interface ChainProgress {
  /** From 1 up. */
  readonly height: number;
  /** 64 hex digits, display order. */
  readonly blockHash: string;
  /** Big-endian, 1 to 32 bytes. */
  readonly chainWork: Uint8Array;
}

const PLAIN: GrpcTlsSettings = {
  security_level_grpc: 0,
  grpc_ca_file: '',
  grpc_cert_file: '',
  grpc_key_file: '',
};
const CONNECT_MS = 20_000;

function dialled(address: string): DialAddress {
  try {
    return parseServiceAddress(address);
  } catch (error) {
    throw new ConfigurationError([`p2p_grpcAddress: ${errorMessage(error)}`]);
  }
}

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
    const channel = openChannel(dialled(address), options.tls ?? PLAIN);
    this.#client = new GeneratedClient(channel.target, channel.credentials, channel.options);
    this.#adminKey = options.adminKey;
    this.#deadlineMs = options.deadlineMs;
  }

  async getPeers(signal?: AbortSignal): Promise<Peer[]> {
    return (await this.#read(this.#client.getPeers.bind(this.#client), {}, signal)).peers;
  }

  /** `until` in unix seconds; 0 for the server's p2p_ban_duration. `reason` is shown with the ban, 256 characters at the most. */
  async banPeer(subject: string, until = 0n, signal?: AbortSignal, reason = ''): Promise<boolean> {
    const request = { addr: subject, until, reason };
    return (await this.#admin(this.#client.banPeer.bind(this.#client), request, signal)).ok;
  }

  /** Rejects with RpcError FAILED_PRECONDITION, naming the subnet, when a ban of that still covers the address. */
  async unbanPeer(subject: string, signal?: AbortSignal): Promise<boolean> {
    return (await this.unban(subject, signal)).ok;
  }

  /** As `unbanPeer`, with what else it did: `message` names addresses let in too, or the peer that stays banned. */
  async unban(
    subject: string,
    signal?: AbortSignal,
  ): Promise<{ readonly ok: boolean; readonly message: string }> {
    return await this.#admin(this.#client.unbanPeer.bind(this.#client), { addr: subject }, signal);
  }

  async isBanned(subject: string, signal?: AbortSignal): Promise<boolean> {
    const request = { ipOrSubnet: subject };
    return (await this.#read(this.#client.isBanned.bind(this.#client), request, signal)).isBanned;
  }

  async listBanned(signal?: AbortSignal): Promise<string[]> {
    return (await this.#read(this.#client.listBanned.bind(this.#client), {}, signal)).banned;
  }

  /** As `listBanned`, with until when, by whom and why. */
  async listBans(signal?: AbortSignal): Promise<Ban[]> {
    const listed = await this.#read(this.#client.listBanned.bind(this.#client), {}, signal);
    const { banned, peers, until, reasons, by_score: byScore } = listed;
    return banned.map((subject, index) => {
      const end = until[index];
      const scored = byScore[index];
      return {
        subject,
        peer: peers[index] || undefined,
        until: end === undefined ? undefined : new Date(Number(end) * 1000),
        by: scored === undefined ? undefined : scored ? 'score' : 'operator',
        reason: reasons[index] || undefined,
      };
    });
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

  /** A catch-up from a peer begins. */
  async recordCatchupAttempt(peerId: string, signal?: AbortSignal): Promise<boolean> {
    return (
      await this.#admin(this.#client.recordCatchupAttempt.bind(this.#client), { peer_id: peerId }, signal)
    ).ok;
  }

  /** A catch-up from a peer went well, in `durationMs`; 0 for unknown. */
  async recordCatchupSuccess(peerId: string, durationMs: bigint, signal?: AbortSignal): Promise<boolean> {
    return (
      await this.#admin(
        this.#client.recordCatchupSuccess.bind(this.#client),
        { peer_id: peerId, duration_ms: durationMs },
        signal,
      )
    ).ok;
  }

  /** A catch-up from a peer failed. `kind`: `block_incomplete`, or anything for none; `blockHash` may be empty. */
  async recordCatchupFailure(
    peerId: string,
    kind = '',
    blockHash = '',
    signal?: AbortSignal,
  ): Promise<boolean> {
    return (
      await this.#admin(
        this.#client.recordCatchupFailure.bind(this.#client),
        { peer_id: peerId, failure_kind: kind, block_hash: blockHash },
        signal,
      )
    ).ok;
  }

  /** A peer cheated in a catch-up. */
  async recordCatchupMalicious(peerId: string, signal?: AbortSignal): Promise<boolean> {
    return (
      await this.#admin(this.#client.recordCatchupMalicious.bind(this.#client), { peer_id: peerId }, signal)
    ).ok;
  }

  /** Kept as the peer's last error: 1,024 printable characters of it. */
  async updateCatchupError(peerId: string, error: string, signal?: AbortSignal): Promise<boolean> {
    return (
      await this.#admin(
        this.#client.updateCatchupError.bind(this.#client),
        { peer_id: peerId, error_msg: error },
        signal,
      )
    ).ok;
  }

  /** Resolves with the number of peers reset. Without a peer ID: all of them. */
  async resetReputation(peerId = '', signal?: AbortSignal): Promise<number> {
    return (await this.#admin(this.#client.resetReputation.bind(this.#client), { peer_id: peerId }, signal))
      .peers_reset;
  }

  async reportValidSubtree(peerId: string, subtreeHash: string, signal?: AbortSignal): Promise<ReportResult> {
    return await this.#admin(
      this.#client.reportValidSubtree.bind(this.#client),
      { peer_id: peerId, subtree_hash: subtreeHash },
      signal,
    );
  }

  async reportValidBlock(peerId: string, blockHash: string, signal?: AbortSignal): Promise<ReportResult> {
    return await this.#admin(
      this.#client.reportValidBlock.bind(this.#client),
      { peer_id: peerId, block_hash: blockHash },
      signal,
    );
  }

  async reportValidBlockHeaders(
    peerId: string,
    durationMs: bigint,
    signal?: AbortSignal,
  ): Promise<ReportResult> {
    return await this.#admin(
      this.#client.reportValidBlockHeaders.bind(this.#client),
      { peer_id: peerId, duration_ms: durationMs },
      signal,
    );
  }

  /** The chain of a peer was validated up to a block. */
  async reportValidatedChainProgress(
    peerId: string,
    progress: ChainProgress,
    signal?: AbortSignal,
  ): Promise<ReportResult> {
    return await this.#admin(
      this.#client.reportValidatedChainProgress.bind(this.#client),
      {
        peer_id: peerId,
        height: progress.height,
        block_hash: progress.blockHash,
        chain_work: Buffer.from(progress.chainWork),
      },
      signal,
    );
  }

  /** uint64. */
  async recordBytesDownloaded(peerId: string, bytes: bigint, signal?: AbortSignal): Promise<boolean> {
    return (
      await this.#admin(
        this.#client.recordBytesDownloaded.bind(this.#client),
        { peer_id: peerId, bytes_downloaded: bytes },
        signal,
      )
    ).ok;
  }

  /** The best to catch up from first. */
  async getPeersForCatchup(signal?: AbortSignal): Promise<PeerInfoForCatchup[]> {
    return (await this.#read(this.#client.getPeersForCatchup.bind(this.#client), {}, signal)).peers;
  }

  async isPeerMalicious(
    peerId: string,
    signal?: AbortSignal,
  ): Promise<{ readonly is_malicious: boolean; readonly reason: string }> {
    return this.#read(this.#client.isPeerMalicious.bind(this.#client), { peer_id: peerId }, signal);
  }

  async isPeerUnhealthy(
    peerId: string,
    signal?: AbortSignal,
  ): Promise<{
    readonly is_unhealthy: boolean;
    readonly reason: string;
    readonly reputation_score: number;
  }> {
    return this.#read(this.#client.isPeerUnhealthy.bind(this.#client), { peer_id: peerId }, signal);
  }

  async getPeerRegistry(signal?: AbortSignal): Promise<PeerRegistryInfo[]> {
    return (await this.#read(this.#client.getPeerRegistry.bind(this.#client), {}, signal)).peers;
  }

  /** Undefined for a stranger. */
  async getPeer(peerId: string, signal?: AbortSignal): Promise<PeerRegistryInfo | undefined> {
    const request = { peer_id: peerId };
    return (await this.#read(this.#client.getPeer.bind(this.#client), request, signal)).peer;
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
