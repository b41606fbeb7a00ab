/** Texts in the place of peer IDs and data hub URLs, where nothing looks into them. */

import type { DataHubUrl } from '../../src/shared/messages/data-hub-url.js';
import type { PeerIdText } from '../../src/shared/net/peer-id.js';

export const asPeer = (name: string): PeerIdText => name as PeerIdText;
export const asHub = (text: string): DataHubUrl => text as DataHubUrl;
