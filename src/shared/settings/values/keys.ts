/** Rows whose values are keys and peer IDs, as text. */

import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { Setting } from '../setting.js';
import { text } from './basic.js';

/** DER of an Ed25519 private key, up to its 32 secret bytes. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** An Ed25519 key in hex, with its public half once or twice; empty: none. */
export const nodeKey = (doc: string): Setting<string> => text('', doc, { secret: true, check: checkNodeKey });

function checkNodeKey(text: string): void {
  const key = text.trim().toLowerCase();
  if (!/^(?:[0-9a-f]{128}|08011240[0-9a-f]{128}|[0-9a-f]{192})$/.test(key)) {
    throw new RangeError('is not 128 or 192 hex digits');
  }
  if (key.length === 192 && key.slice(64, 128) !== key.slice(128)) {
    throw new RangeError('its two public halves differ');
  }
  const bytes = Buffer.from(key.replace(/^08011240(?=[0-9a-f]{128}$)/, ''), 'hex');
  const der = Buffer.concat([PKCS8, bytes.subarray(0, 32)]);
  const secret = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const spki = createPublicKey(secret).export({ format: 'der', type: 'spki' });
  if (!bytes.subarray(32, 64).equals(spki.subarray(-32))) {
    throw new RangeError('has a public half that does not belong to its secret half');
  }
}

/** A key that is sent in the metadata of a call. */
export const apiKey = (doc: string, aliases: readonly string[]): Setting<string> =>
  text('', doc, { secret: true, aliases, check: checkSendable });

/** What may stand in gRPC metadata and cannot be mistaken: printable ASCII without spaces. */
const SENDABLE = /^[\x21-\x7e]{1,256}$/;

/** Throws RangeError on a key that metadata cannot carry. */
export function checkSendable(key: string): void {
  if (!SENDABLE.test(key)) throw new RangeError('must be 1 to 256 printable ASCII characters without spaces');
}

/** A peer ID; empty: none. */
export const peerId = (doc: string): Setting<string> =>
  text('', doc, {
    check(text) {
      if (!/^[1-9A-HJ-NP-Za-km-z]{32,128}$/.test(text)) throw new RangeError('is not a peer ID');
    },
  });
