/** The frames of the feed, by kind. Made by the server's build from its own table of frames: `npm run docs:settings`. */

/** Of every frame. */
interface Frame {
  /** When the server received it, in seconds: RFC 3339. */
  readonly timestamp: string;
  /** Peer ID of the node that announced it. */
  readonly peer_id: string;
  /** What that node calls itself; left out when empty. */
  readonly client_name?: string;
}

/** A block that a node has, and where to fetch it. */
export interface BlockFrame extends Frame {
  readonly type: 'block';
  /** In display order, 64 hex digits. */
  readonly hash: string;
  readonly height?: number;
  /** Of the node's data hub. */
  readonly base_url: string;
  readonly best_height?: number;
  /** 160 hex digits; with meta, where the announcement had it: checked against hash and work. */
  readonly header?: string;
  /** In display order; beside `header`. */
  readonly previous_hash?: string;
}

/** A subtree of transactions that a node has, and where to fetch it. */
export interface SubtreeFrame extends Frame {
  readonly type: 'subtree';
  readonly hash: string;
  readonly base_url: string;
  readonly best_height?: number;
}

/** The block on which a node now mines. */
export interface MiningOnFrame extends Frame {
  readonly type: 'mining_on';
  readonly hash: string;
  readonly base_url?: string;
  readonly previousblockhash?: string;
  readonly tx_count?: number;
  readonly height?: number;
  readonly size_in_bytes?: number;
  readonly miner?: string;
  readonly best_height?: number;
}

/** A transaction that a node has rejected, and why. */
export interface RejectedTxFrame extends Frame {
  readonly type: 'rejected_tx';
  /** Of the transaction. */
  readonly hash: string;
  readonly reason?: string;
}

/** What a node says of itself every few seconds. */
export interface NodeStatusFrame extends Frame {
  readonly type: 'node_status';
  readonly base_url?: string;
  readonly propagation_url?: string;
  readonly tx_count?: number;
  readonly version?: string;
  readonly commit_hash?: string;
  readonly best_block_hash?: string;
  readonly best_height?: number;
  readonly subtree_count?: number;
  readonly fsm_state?: string;
  readonly start_time?: number;
  readonly uptime?: number;
  readonly miner_name?: string;
  readonly listen_mode?: string;
  readonly chain_work?: string;
  readonly sync_peer_id?: string;
  readonly sync_peer_height?: number;
  readonly sync_peer_block_hash?: string;
  readonly sync_connected_at?: number;
  readonly min_mining_tx_fee?: number;
  readonly fee_policy?: Readonly<Record<string, unknown>>;
  readonly connected_peers_count?: number;
  readonly legacy_connected_peers_count?: number;
  readonly storage?: string;
}

/** The frames by the names of their kinds. */
export interface Frames {
  readonly block: BlockFrame;
  readonly subtree: SubtreeFrame;
  readonly mining_on: MiningOnFrame;
  readonly rejected_tx: RejectedTxFrame;
  readonly node_status: NodeStatusFrame;
}
