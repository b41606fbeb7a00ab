/** What is particular to each Bitcoin network. */

import type { Settings } from './settings/table.js';

export type NetworkName = Settings['network'];

export interface Network {
  /** Before the topic's own name, joined by a hyphen. */
  readonly topicPrefix: string;
  /** Easiest compact target a header may have. */
  readonly powLimitBits: number;
  /**
   * A block twenty minutes after the last may have the easiest target: the tip's target says nothing of the next
   * block's there.
   */
  readonly allowsMinimumDifficulty: boolean;
}

const MAIN_LIMIT = 0x1d00ffff;
const REGTEST_LIMIT = 0x207fffff;

/** Prefixes and limits of the chain parameters that Go nodes share. */
export const NETWORKS: Readonly<Record<NetworkName, Network>> = {
  mainnet: { topicPrefix: 'bitcoin/mainnet', powLimitBits: MAIN_LIMIT, allowsMinimumDifficulty: false },
  testnet: { topicPrefix: 'bitcoin/testnet', powLimitBits: MAIN_LIMIT, allowsMinimumDifficulty: true },
  teratestnet: {
    topicPrefix: 'bitcoin/teratestnet',
    powLimitBits: MAIN_LIMIT,
    allowsMinimumDifficulty: true,
  },
  stn: { topicPrefix: 'bitcoin/stn', powLimitBits: REGTEST_LIMIT, allowsMinimumDifficulty: false },
  tstn: { topicPrefix: 'bitcoin/tstn', powLimitBits: MAIN_LIMIT, allowsMinimumDifficulty: true },
  regtest: { topicPrefix: 'bitcoin/regtest', powLimitBits: REGTEST_LIMIT, allowsMinimumDifficulty: true },
};

/** `p2p_topic_prefix` where set, else the network's. */
export function topicPrefix(settings: Settings): string {
  return settings.p2p_topic_prefix === ''
    ? NETWORKS[settings.network].topicPrefix
    : settings.p2p_topic_prefix;
}
