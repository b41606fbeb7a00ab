/** The feed's frames, by kind. Written by `npm run docs:settings` from the tables of which the server makes them. */

/** What the server tells of a frame besides: where it is in the history. */
export interface Place {
  /** Stands for everything after this frame; opaque. Text. */
  readonly cursor: string;
  /** Within it no sequence number is given twice; each server’s own, of a gateway too. 16 hex digits. */
  readonly epoch: string;
  /** Sequence number of the frame within its epoch; on a node without gaps. Whole number. */
  readonly seq: number;
  /** When this server received it. Time of RFC 3339, UTC, milliseconds. */
  readonly received_at: string;
}

/** A node announces a block that it has. */
export interface BlockFrame {
  /** When this server received it. Time of RFC 3339, UTC, whole seconds. */
  readonly timestamp: string;
  /** Says what frame it is. Text. */
  readonly type: 'block';
  /** Of the block. 64 hex digits, display order. */
  readonly hash: string;
  /** Data hub to fetch it from. URL. Left out when empty. */
  readonly base_url?: string;
  /** Who announced it. Peer ID. */
  readonly peer_id: string;
  /** As the announcement has it; unchecked. Whole number below 2^32. Left out when 0. */
  readonly height?: number;
  /** Says something in `node_status` alone. Whole number below 2^32. Left out when 0, in the first generation. */
  readonly best_height?: number;
  /** What the node calls itself. At most 64 printable characters. Left out when empty, and in the first generation. */
  readonly client_name?: string;
  /** The block’s header, whose hash is `hash`, checked for its work. 160 hex digits. Left out where the announcement has no header. */
  readonly header?: string;
  /** Of the block before, from the header. 64 hex digits, display order. Left out where the announcement has no header. */
  readonly previous_hash?: string;
}

/** A node announces a subtree of transactions that it has. */
export interface SubtreeFrame {
  /** When this server received it. Time of RFC 3339, UTC, whole seconds. */
  readonly timestamp: string;
  /** Says what frame it is. Text. */
  readonly type: 'subtree';
  /** Of the subtree. 64 hex digits, display order. */
  readonly hash: string;
  /** Data hub to fetch it from. URL. Left out when empty. */
  readonly base_url?: string;
  /** Who announced it. Peer ID. */
  readonly peer_id: string;
  /** Says something in `node_status` alone. Whole number below 2^32. Left out when 0, in the first generation. */
  readonly best_height?: number;
  /** What the node calls itself. At most 64 printable characters. Left out when empty, and in the first generation. */
  readonly client_name?: string;
}

/** A node has begun to mine on a block. */
export interface MiningOnFrame {
  /** When this server received it. Time of RFC 3339, UTC, whole seconds. */
  readonly timestamp: string;
  /** Says what frame it is. Text. */
  readonly type: 'mining_on';
  /** Of the block mined on. 64 hex digits, display order. */
  readonly hash: string;
  /** Data hub of the node. URL. Left out when empty. */
  readonly base_url?: string;
  /** Who announced it. Peer ID. */
  readonly peer_id: string;
  /** Of the block before. 64 hex digits, display order. Left out when empty. */
  readonly previousblockhash?: string;
  /** Transactions of the block. Whole number below 2^64. Left out when 0. */
  readonly tx_count?: number;
  /** Of the block. Whole number below 2^32. Left out when 0. */
  readonly height?: number;
  /** Of the block. Whole number below 2^64. Left out when 0. */
  readonly size_in_bytes?: number;
  /** Who mined the block. At most 64 printable characters. Left out when empty. */
  readonly miner?: string;
  /** Says something in `node_status` alone. Whole number below 2^32. Left out when 0, in the first generation. */
  readonly best_height?: number;
}

/** A node has rejected a transaction. */
export interface RejectedTxFrame {
  /** When this server received it. Time of RFC 3339, UTC, whole seconds. */
  readonly timestamp: string;
  /** Says what frame it is. Text. */
  readonly type: 'rejected_tx';
  /** Of the transaction. 64 hex digits, display order. */
  readonly hash: string;
  /** Who announced it. Peer ID. */
  readonly peer_id: string;
  /** Why, in the node’s words. At most 1,024 printable characters. Left out when empty. */
  readonly reason?: string;
  /** What the node calls itself. At most 64 printable characters. Left out when empty, and in the first generation. */
  readonly client_name?: string;
}

/** What a node says of itself, every few seconds. Without parameters, that of the server’s own node comes first of all. */
export interface NodeStatusFrame {
  /** When this server received it. Time of RFC 3339, UTC, whole seconds. */
  readonly timestamp: string;
  /** Says what frame it is. Text. */
  readonly type: 'node_status';
  /** Data hub of the node. URL. Left out when empty. */
  readonly base_url?: string;
  /** Where the node takes transactions. URL. Left out when empty. */
  readonly propagation_url?: string;
  /** Whose status it is. Peer ID. */
  readonly peer_id: string;
  /** Transactions that wait to be mined. Whole number below 2^64. Left out when 0. */
  readonly tx_count?: number;
  /** Of the node’s software. At most 64 printable characters. Left out when empty. */
  readonly version?: string;
  /** Of the node’s software. At most 64 printable characters. Left out when empty. */
  readonly commit_hash?: string;
  /** The node’s best block. 64 hex digits, display order. Left out when empty. */
  readonly best_block_hash?: string;
  /** Height of the node’s best block. Whole number below 2^32. Left out when 0, in the first generation. */
  readonly best_height?: number;
  /** Subtrees that wait to be mined. Whole number below 2^32. Left out when 0. */
  readonly subtree_count?: number;
  /** State of the node’s blockchain service. At most 64 printable characters. Left out when empty. */
  readonly fsm_state?: string;
  /** When the node started, unix seconds. Whole number of 64 bits, signed. Left out when 0. */
  readonly start_time?: number;
  /** Seconds since then. Number. Left out when 0. */
  readonly uptime?: number;
  /** What the node calls itself. At most 64 printable characters. Left out when empty. */
  readonly client_name?: string;
  /** What the node’s blocks name as their miner. At most 64 printable characters. Left out when empty. */
  readonly miner_name?: string;
  /** `full`, or `listen_only` of a node that announces nothing but its status. At most 64 printable characters. Left out when empty. */
  readonly listen_mode?: string;
  /** Work of the node’s chain. At most 64 hex digits. Left out when empty. */
  readonly chain_work?: string;
  /** From whom the node catches up. Peer ID. Left out when empty. */
  readonly sync_peer_id?: string;
  /** Height that this peer told. Whole number below 2^32. Left out when 0. */
  readonly sync_peer_height?: number;
  /** Best block that this peer told. 64 hex digits, display order. Left out when empty. */
  readonly sync_peer_block_hash?: string;
  /** Since when it catches up, unix seconds. Whole number of 64 bits, signed. Left out when 0. */
  readonly sync_connected_at?: number;
  /** Fee below which the node mines no transaction, BSV a thousand bytes; 0 is a fee. Number. Left out where the node does not tell it. */
  readonly min_mining_tx_fee?: number;
  /** Fees and limits of the node. Object. Left out where the node does not tell it. */
  readonly fee_policy?: {
    readonly miningFee: {
      readonly satoshis: number;
      readonly bytes: number;
    };
    readonly maxscriptsizepolicy: number;
    readonly maxtxsizepolicy: number;
    readonly maxtxsigopscountspolicy: number;
  };
  /** Peers of the node’s P2P service. Whole number of 64 bits, signed. Left out when 0. */
  readonly connected_peers_count?: number;
  /** Peers of the node’s legacy service. Whole number of 64 bits, signed. Left out when 0. */
  readonly legacy_connected_peers_count?: number;
  /** What the node keeps. At most 64 printable characters. Left out when empty. */
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
