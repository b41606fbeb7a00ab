/** Subtree announcements as a network sends them: hashes that nothing compresses, from some twenty nodes. */

import { createHash, randomBytes } from 'node:crypto';
import { base58btc } from 'multiformats/bases/base58';
import { wall } from '../../src/shared/clock.js';
import { encodeEntry } from '../../src/shared/journal/entry.js';
import { subtree } from '../../src/shared/messages/index.js';

const NODES = 20;
/** Before the key: an identity multihash of a protobuf that says Ed25519, as a peer ID is. */
const ED25519 = Buffer.from('002408011220', 'hex');

/** A peer ID that is always the same for the same `n`; nobody has its key. */
export function nodeId(n: number): string {
  const key = createHash('sha256').update(`node ${n}`).digest();
  return base58btc.baseEncode(Buffer.concat([ED25519, key]));
}

const IDS = Array.from({ length: NODES }, (_, n) => nodeId(n));

/** `count` entries of the journal, each with a frame of some 290 bytes, from `author` or from twenty in turn. */
export function announcements(count: number, author?: string): Buffer[] {
  const now = wall.told();
  const second = `${new Date(now).toISOString().slice(0, 19)}Z`;
  const hashes = randomBytes(32 * count).toString('hex');
  return Array.from({ length: count }, (_, index) => {
    const n = index % NODES;
    const id = author ?? IDS[n] ?? '';
    const frame =
      `{"timestamp":"${second}","type":"subtree","hash":"${hashes.slice(64 * index, 64 * (index + 1))}",` +
      `"base_url":"https://node${n}.example.org:8090/api/v1","peer_id":"${id}","best_height":0,"client_name":"node ${n}"}`;
    return encodeEntry({
      kind: subtree.id,
      own: false,
      author: id,
      receivedAt: now,
      repeatKey: '',
      frame: Buffer.from(frame),
      record: undefined,
    });
  });
}
