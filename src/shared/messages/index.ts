/**
 * The message kinds. Settings, subscribing, checking, forwarding, metrics, the command line, the page and the documentation read what they
 * list here; a kind crosses threads and goes to disk as its id. A new kind is one file and one line of `kinds.ts`.
 */

import { inOrderOfIds } from './ids.js';
import type { MessageKind } from './kind.js';
import * as table from './kinds.js';

export * from './kinds.js';

/** Key of the setting that names a kind's gossip topic. */
export type GossipTopicKey = (typeof table)[keyof typeof table]['topic']['key'];

/** By their ids. */
export const MESSAGE_KINDS = inOrderOfIds<MessageKind<unknown, GossipTopicKey>>(Object.values(table));

/** Those whose messages are frames of the feed. */
export const FRAME_KINDS = MESSAGE_KINDS.filter(({ frame }) => frame !== undefined);
