/** Headers for tests, with real proof of work at regtest's target. */

import { genesisHeader } from '../../src/main/chain/genesis.js';
import { type HashHex, hashFromBytes } from '../../src/shared/bitcoin/hash.js';
import { headerHash, meetsTarget, serialiseHeader, targetOfBits } from '../../src/shared/bitcoin/header.js';

const REGTEST_BITS = 0x207fffff;

/** A header on `previousHash`; the same `salt` gives the same header. */
export function minedHeader(previousHash: HashHex, salt = 0, bits = REGTEST_BITS): Uint8Array {
  const merkleRoot = hashFromBytes(Buffer.alloc(32, salt + 1));
  const target = targetOfBits(bits);
  for (let nonce = 0; ; nonce++) {
    const header = serialiseHeader({
      version: 1,
      previousHash,
      merkleRoot,
      time: 1_700_000_000 + salt,
      bits,
      nonce,
    });
    if (meetsTarget(headerHash(header), target)) return header;
  }
}

/** `length` headers in a row on regtest's first block. */
export function minedChain(length: number): Uint8Array[] {
  const chain: Uint8Array[] = [];
  let previous = headerHash(genesisHeader('regtest'));
  for (let height = 1; height <= length; height++) {
    const header = minedHeader(previous, height % 200);
    chain.push(header);
    previous = headerHash(header);
  }
  return chain;
}
