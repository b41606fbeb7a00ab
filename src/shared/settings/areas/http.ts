/** HTTP: the WebSocket feed, the page, health and metrics, and the URLs that are told. */

import type { Setting } from '../setting.js';
import { dialAddress, listenAddress, neededListenAddress, subnets } from '../values/addresses.js';
import { choice, flag, integer, list, text } from '../values/basic.js';
import { httpPath, publicUrl } from '../values/texts.js';

export const HTTP = {
  p2p_httpListenAddress: neededListenAddress(':9906', 'WebSocket, page and /health listen here.'),
  p2p_httpAddress: dialAddress('localhost:9906', 'Where others, and the CLI, reach it.'),
  p2p_websocket_max_connections: integer(1000, 'WebSocket connections at the most; 0: any number.', {
    min: 0,
  }),
  p2p_websocket_max_connections_per_source: integer(
    0,
    'WebSocket connections of one source at the most; 0: a twentieth of all, never under 4; -1: any number.',
    { min: -1 },
  ),
  p2p_websocket_trusted_source_cidrs: subnets(
    'Sources of which one may hold more than its share; they count among all. none: nobody.',
    ['127.0.0.1/32', '::1/128'],
    // Teranode's word for an empty list, which its loader cannot express.
    { also: 'none' },
  ),
  p2p_websocket_trusted_proxies: subnets(
    'Addresses and subnets of proxies whose X-Forwarded-For, or Forwarded, is believed (this server).',
  ),
  p2p_websocket_allowed_origins: list('Origins allowed; empty: any.'),
  p2p_websocket_text_ping: flag(true, 'Send the text frame of type PING every 10 s besides protocol pings.'),
  p2p_websocket_client_buffer: integer(
    1_048_576,
    'Bytes queued for one client before it must drain (this server).',
    { min: 1024 },
  ),
  p2p_feed_tokens_file: text(
    '',
    'File of the tokens by which consumers may have the feed, `name:hash:limits` a line, read again when it changes; empty: nobody needs one (this server).',
  ),
  p2p_websocket_transport: choice(
    ['auto', 'uws', 'ws'],
    'auto',
    'Library behind the port; auto: uWebSockets.js where its newer build loads and no proxy is named, else `ws` (this server).',
  ),
  securityLevelHTTP: integer(0, '0 plain, 1 TLS.', { min: 0, max: 1 }),
  server_certFile: text('', 'Certificate for HTTPS.'),
  server_keyFile: text('', 'Key for HTTPS.'),
  asset_httpAddress: publicUrl('Data hub URL of this node.'),
  asset_httpPublicAddress: publicUrl('Data hub URL told to peers, preferred over asset_httpAddress.'),
  asset_propagation_public_url: publicUrl('Propagation URL told in node_status.'),
  health_check_httpListenAddress: listenAddress(':8000', 'Health endpoints listen here; empty: not at all.'),
  profilerAddr: listenAddress(':9091', 'Metrics listen here; empty: not at all.'),
  prometheusEndpoint: httpPath('/metrics', 'Path of the metrics; empty: none.'),
} as const satisfies Record<string, Setting>;
