/**
 * Room for the pre-shared key's cipher, once a process.
 *
 * Reason: all instances of pnet's cipher share one WebAssembly memory. A send above 640 KiB makes an instance grow it,
 * which leaves the others with a view of the old one; each grows it again in turn until it fails and the connection dies.
 * Grown beforehand, no instance has to.
 */

import { createRequire } from 'node:module';

interface Cipher {
  readonly _xor: { readonly _memory?: Uint8Array };
  update(input: Uint8Array, output?: Uint8Array): Uint8Array;
  finalize(): void;
}
/** Above what one connection ever sends at once. */
const CIPHER_BYTES = 48 * 1024 * 1024;

/** Once a process: further calls find the memory large enough and do nothing. */
export function growCipherMemory(): void {
  const fromPnet = createRequire(import.meta.resolve('@libp2p/pnet'));
  const xsalsa20 = fromPnet('xsalsa20') as (nonce: Uint8Array, key: Uint8Array) => Cipher;
  const cipher = xsalsa20(new Uint8Array(24), new Uint8Array(32));
  if ((cipher._xor._memory?.length ?? 0) < CIPHER_BYTES) {
    const scratch = new Uint8Array(CIPHER_BYTES);
    cipher.update(scratch, scratch);
  }
  cipher.finalize();
}
