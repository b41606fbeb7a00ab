/** What the feed says every ten seconds, so that who hears nothing knows that it is broken. */

import { frameJson } from './frame.js';
import { type FrameLayout, NO_BEST_HEIGHT, shown } from './frame-fields.js';

interface Ping {
  /** This node's data hub; empty: left out. */
  readonly baseUrl: string;
  /** Base58; empty at a gateway that follows no node in particular: left out. */
  readonly peerId: string;
}

export const PING = 'PING';

export const ping: FrameLayout<Ping> = {
  doc: 'Every 10 s, to who takes the whole feed as it is: the server is there.',
  fields: [
    shown('base_url', 'url', ({ baseUrl }) => baseUrl, 'Data hub of the server’s own node.'),
    shown('peer_id', 'peer', ({ peerId }) => peerId, 'The server’s own node; a gateway’s, where it has one.'),
    NO_BEST_HEIGHT,
  ],
};

/** The text ping at the unix ms `at`. */
export function pingJson(of: Ping, at: number, generation: 'first' | 'current'): string {
  return frameJson(PING, ping.fields, of, at, generation);
}
