/** The chain parameters that Go nodes share, from the module that they take them from. */

import { Neighbour } from './neighbour.js';

/** The fields of `chainParams` in `params.go`. */
export interface ChainParams {
  readonly name: string;
  /** Before each topic's own name, joined by a hyphen. */
  readonly topicPrefix: string;
  readonly powLimitBits: number;
  readonly reduceMinDifficulty: boolean;
  readonly noDifficultyAdjustment: boolean;
  /** Hex, display order. */
  readonly genesisHash: string;
  /** Hex of 80 bytes. */
  readonly genesisHeader: string;
}

const program = new Neighbour({ after: () => {} }, 'params');
/** Those of every network. */
export const CHAIN_PARAMS: readonly ChainParams[] = await program.call('all');
await program.stop();

/** The topic that Go nodes on `network` call `name`. */
export function goTopic(name: string, network = 'regtest'): string {
  const found = CHAIN_PARAMS.find((params) => params.name === network);
  if (found === undefined) throw new Error(`the Go module knows no network ${network}`);
  return `${found.topicPrefix}-${name}`;
}
