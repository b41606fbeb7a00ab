/** What the server asks of the blockchain service. Two implementations: gRPC and embedded. */

import type { HashHex } from '../../shared/bitcoin/hash.js';
import type { HealthChecked } from '../../shared/health.js';

/** `UNKNOWN` is a state that the service has and this version has no name for. */
export type FsmState = 'IDLE' | 'RUNNING' | 'CATCHINGBLOCKS' | 'LEGACYSYNCING' | 'UNKNOWN';

export interface BlockHeaderInfo {
  readonly hash: HashHex;
  /** 80 bytes. */
  readonly header: Uint8Array;
  readonly height: number;
  readonly txCount: bigint;
  readonly sizeInBytes: bigint;
  readonly miner: string;
  /** Big-endian bytes. */
  readonly chainWork: Uint8Array;
  readonly invalid: boolean;
}

export type ChainNotification =
  | {
      readonly type: 'block' | 'subtree' | 'mining_on';
      readonly hash: HashHex;
      readonly baseUrl: string;
      /** Learnt from a peer's announcement, not stored here: our best block, but not ours to announce. */
      readonly followed?: true;
    }
  | { readonly type: 'fsm_state'; readonly event: string; readonly destination: string }
  | {
      readonly type: 'peer_failure';
      readonly peerId: string;
      readonly failureType: string;
      readonly reason: string;
    }
  | { readonly type: 'ping' | 'other' };

export interface BlockchainClient extends HealthChecked {
  getBestBlockHeader(signal?: AbortSignal): Promise<BlockHeaderInfo>;
  /** Rejects with NotFoundError of the implementation's choice when unknown. */
  getBlockHeader(hash: HashHex, signal?: AbortSignal): Promise<BlockHeaderInfo>;
  /**
   * Notifications from now on, the first a Block with the tip. Ends with an error when the stream breaks; the caller
   * subscribes again. Where the signal's reason is a SilenceError, the connection is given up for a new one.
   */
  subscribe(source: string, signal: AbortSignal): AsyncIterable<ChainNotification>;
  getFsmState(signal?: AbortSignal): Promise<FsmState>;
  waitUntilNotIdle(signal: AbortSignal): Promise<void>;
  getState(key: string, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  setState(key: string, data: Uint8Array): Promise<void>;
  close(): Promise<void>;
}
