/** The first block of each network, from the public chain parameters: where an embedded chain begins. */

import { parseHashHex } from '../../shared/bitcoin/hash.js';
import { type BlockHeader, serialiseHeader } from '../../shared/bitcoin/header.js';
import type { Settings } from '../../shared/settings/table.js';

const NO_HASH = '0'.repeat(64);
/** Of the coinbase that all networks but the newest share. */
const FIRST_MERKLE_ROOT = '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b';
const TSTN_MERKLE_ROOT = '64452e5b25c65e492ad6a4f5ce9f427ca986626c28315d88de920d66e28cc98f';

/** Time in unix seconds, bits, nonce, Merkle root. */
const GENESIS: Readonly<Record<Settings['network'], readonly [number, number, number, string]>> = {
  mainnet: [1_231_006_505, 0x1d00ffff, 2_083_236_893, FIRST_MERKLE_ROOT],
  testnet: [1_296_688_602, 0x1d00ffff, 414_098_458, FIRST_MERKLE_ROOT],
  teratestnet: [1_755_606_836, 0x1d00ffff, 0x411f6c9c, FIRST_MERKLE_ROOT],
  stn: [1_296_688_602, 0x1d00ffff, 0x0a5bac18, FIRST_MERKLE_ROOT],
  tstn: [1_782_864_000, 0x1d00ffff, 0x6a201818, TSTN_MERKLE_ROOT],
  regtest: [1_296_688_602, 0x207fffff, 2, FIRST_MERKLE_ROOT],
};

/** The 80 bytes of a network's first header. */
export function genesisHeader(network: Settings['network']): Uint8Array {
  const [time, bits, nonce, root] = GENESIS[network];
  const previousHash = parseHashHex(NO_HASH);
  const merkleRoot = parseHashHex(root);
  if (previousHash === undefined || merkleRoot === undefined) throw new RangeError('not a hash');
  const header: BlockHeader = { version: 1, previousHash, merkleRoot, time, bits, nonce };
  return serialiseHeader(header);
}
