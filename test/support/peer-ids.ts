/** Names in the place of peer IDs, where nothing looks into them. */

import type { PeerIdText } from '../../src/shared/net/peer-id.js';

export const asPeer = (name: string): PeerIdText => name as PeerIdText;
