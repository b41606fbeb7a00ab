/**
 * The first bytes of the other end, before any handshake. With a pre-shared key they are 24 random bytes, without one multistream's
 * greeting. Where the two meet, each waits for something else, and all that libp2p tells is "Unexpected EOF" or a reset.
 */

import type { MultiaddrConnection } from '@libp2p/interface';
import type { Multiaddr } from '@multiformats/multiaddr';
import { LRUCache } from 'lru-cache';
import { KeyedRate } from '../../../shared/async/keyed-rate.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { isRelayed, multiaddrSource } from '../addresses/multiaddrs.js';
import type { PeripheryMetrics } from '../metrics/periphery-metrics.js';
import type { BytesListener } from '../patches/connection-bytes.js';

/** Multistream's first line, length before it: 20 bytes. */
const GREETING = Buffer.from('\x13/multistream/1.0.0\n');
const TLS_RECORD = 0x1603;
/** Ends remembered, by address. */
const MAX_REMEMBERED = 1_000;
const LINES = { perSecond: 0.1, burst: 10, maxKeys: 1 };

/** Which end seems to have a pre-shared key that the other has not. */
export type KeyMismatch = 'theirs' | 'ours';

const SAID: Readonly<Record<KeyMismatch, string>> = {
  theirs:
    'it speaks as behind a pre-shared key, and this node has none: it is in a private network (p2p_private_network, p2p_shared_key)',
  ours: 'it speaks without a pre-shared key, and this node has one: it is in the public network, or of the other generation (p2p_generation, p2p_private_network)',
};

/**
 * What the first 20 bytes of the other end say of its key; undefined when they are as expected, or of something that is no libp2p: text, TLS, or a
 * header with zeros in it.
 */
function mismatchOf(first: Uint8Array, isPrivate: boolean): KeyMismatch | undefined {
  const bytes = Buffer.from(first.subarray(0, GREETING.length));
  if (bytes.equals(GREETING)) return isPrivate ? 'ours' : undefined;
  if (isPrivate || bytes.readUInt16BE(0) === TLS_RECORD || bytes.includes('\0\0\0')) return undefined;
  return bytes.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d)
    ? undefined
    : 'theirs';
}

const keyOf = (address: Multiaddr): string => address.toString().replace(/\/p2p\/[^/]+$/, '');

export interface PreamblesComponents {
  readonly logger: Logger;
  readonly metrics: Pick<PeripheryMetrics, 'keyMismatches'>;
}

export class Preambles {
  readonly #components: PreamblesComponents;
  readonly #isPrivate: boolean;
  readonly #found = new LRUCache<string, KeyMismatch>({ max: MAX_REMEMBERED });
  readonly #told = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  readonly #lines = new KeyedRate(LINES);

  constructor(components: PreamblesComponents, { isPrivate }: { readonly isPrivate: boolean }) {
    this.#components = components;
    this.#isPrivate = isPrivate;
  }

  /** Looks at the first bytes of a connection that begins; see `watchBytes`. */
  readonly watch = (connection: MultiaddrConnection): BytesListener | undefined => {
    // What comes by way of a relay is protected up to there.
    if (isRelayed(connection.remoteAddr)) return undefined;
    this.#found.delete(keyOf(connection.remoteAddr));
    let first = Buffer.alloc(0);
    return {
      received: (data) => {
        if (first.length === GREETING.length) return;
        // A list of buffers throws where an array would be short.
        const wanted = Math.min(GREETING.length - first.length, data.byteLength);
        first = Buffer.concat([first, data.subarray(0, wanted)]);
        if (first.length === GREETING.length) this.#judge(connection, first);
      },
    };
  };

  /** What was wrong with the last connection to or from an address, for a person; empty when nothing was. */
  hintFor(address: Multiaddr): string {
    const mismatch = this.#found.get(keyOf(address));
    return mismatch === undefined ? '' : SAID[mismatch];
  }

  #judge({ remoteAddr, direction }: MultiaddrConnection, first: Uint8Array): void {
    const mismatch = mismatchOf(first, this.#isPrivate);
    if (mismatch === undefined) return;
    const { logger, metrics } = this.#components;
    metrics.keyMismatches.inc({ key: mismatch });
    this.#found.set(keyOf(remoteAddr), mismatch);
    const source = multiaddrSource(remoteAddr) ?? '';
    if (this.#told.has(source) || !this.#lines.take('')) return;
    this.#told.set(source, true);
    logger.warn(
      { address: remoteAddr.toString(), direction, hint: SAID[mismatch] },
      'a handshake fails for want of a common pre-shared key',
    );
  }
}
