/** What main and a notification server's process tell each other over IPC. */

import type { CursorsOf } from '../firehose/cursor-schemes.js';
import type { FeedToken } from '../firehose/tokens.js';
import type { ConnectionLimits, Visitor } from '../net/connection-ledger.js';
import type { Settings } from '../settings/table.js';
import type { TlsFiles } from '../tls/files.js';
import type { TracingOrder } from '../tracing/types.js';

/** Everything a notification server is told at its birth. */
export interface NotificationServerConfig {
  /** Empty: every address. */
  readonly host: string;
  readonly port: number;
  /** Undefined: plain HTTP. */
  readonly tls: TlsFiles | undefined;
  readonly frameSocketPath: string;
  /** Whose journal it is that the stream is of. */
  readonly cursors: CursorsOf;
  /** `p2p_websocket_trusted_proxies`. */
  readonly trustedProxies: readonly string[];
  /** `p2p_websocket_allowed_origins`; empty: any. */
  readonly allowedOrigins: readonly string[];
  /** `p2p_websocket_client_buffer`, in bytes. */
  readonly clientBuffer: number;
  /** `p2p_websocket_text_ping`. */
  readonly textPing: boolean;
  /** Of this node, for the text ping. */
  readonly baseUrl: string;
  readonly peerId: string;
  /** The current generation's pings carry `best_height`, as all of Go's current frames. */
  readonly generation: 'first' | 'current';
  readonly logLevel: string;
  /** `p2p_websocket_transport`. */
  readonly transport: Settings['p2p_websocket_transport'];
  /** Which of them this is, from 0; where a port cannot be shared, that one serves alone. */
  readonly index: number;
  /** JSON for `/api/status`; empty until main has one. */
  readonly status: string;
  /** The newest own `node_status` that any process had, for clients until the publisher is heard; empty: none yet. */
  readonly greeting: string;
  readonly limits: ConnectionLimits;
  /** Of `p2p_feed_tokens_file`; undefined: nobody needs one. */
  readonly tokens: readonly FeedToken[] | undefined;
  /** Undefined: nothing is traced. */
  readonly tracing?: TracingOrder | undefined;
  /** What the other processes hold now: holder, source or token, connections. */
  readonly held: readonly (readonly [holder: string, key: string, count: number])[];
}

/** Whether a client may have the place that it took, or the code of the problem that it is told. */
export type PlaceAnswer = 'granted' | 'too_many_connections' | 'token_in_use';

/** Main → notification server. */
export type NotificationServerOrder =
  | { readonly type: 'config'; readonly config: NotificationServerConfig }
  /** Answers to `admit`, each with its request's id. */
  | { readonly type: 'admitted'; readonly answers: readonly (readonly [id: number, answer: PlaceAnswer])[] }
  /** Another process took or gave back places, or is gone with all it held. */
  | {
      readonly type: 'others';
      readonly holder: string;
      readonly change: 'taken' | 'released' | 'gone';
      readonly visitors: readonly Visitor[];
    }
  | { readonly type: 'tokens'; readonly tokens: readonly FeedToken[] }
  | { readonly type: 'status'; readonly json: string }
  | { readonly type: 'level'; readonly level: string }
  | { readonly type: 'metrics'; readonly id: number }
  /** To be answered with `alive`; who does not answer ten of them hangs and is killed. */
  | { readonly type: 'beat' }
  /** `elsewhere`: another server takes over, so clients are told to connect again. */
  | { readonly type: 'stop'; readonly elsewhere: boolean };

/** Notification server → main. */
export type NotificationServerReport =
  /** It listens; `build` is the package that serves, and its version. */
  | { readonly type: 'ready'; readonly build: string }
  /** Another process listens on the port, which cannot be shared here: this one is not needed. */
  | { readonly type: 'unneeded' }
  /** It cannot serve; the process ends. */
  | { readonly type: 'failed'; readonly problems: readonly string[] }
  /** May these, who have come in, stay? */
  | { readonly type: 'admit'; readonly requests: readonly (readonly [id: number, ...Visitor])[] }
  | { readonly type: 'release'; readonly visitors: readonly Visitor[] }
  | { readonly type: 'streaming'; readonly connected: boolean }
  /** Clients are refused for want of open files, or no longer. */
  | { readonly type: 'crowded'; readonly crowded: boolean }
  | { readonly type: 'alive' }
  /** A new own `node_status` greets clients here. */
  | { readonly type: 'greeting'; readonly json: string }
  | { readonly type: 'metrics'; readonly id: number; readonly metrics: readonly object[] };
