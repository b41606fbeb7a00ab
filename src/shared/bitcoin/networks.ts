/** What is particular to each Bitcoin network. */

/** As the setting `network` has them. */
export const NETWORK_NAMES = ['mainnet', 'testnet', 'teratestnet', 'stn', 'tstn', 'regtest'] as const;
export type NetworkName = (typeof NETWORK_NAMES)[number];

export interface Network {
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
/** Before the network's name in every topic. Go nodes take it from their chain parameters, and did since October 2025. */
const TOPIC_ROOT = 'teranode/bitcoin/1.0.0';

/** Limits of the chain parameters that Go nodes share. */
export const NETWORKS: Readonly<Record<NetworkName, Network>> = {
  mainnet: { powLimitBits: MAIN_LIMIT, allowsMinimumDifficulty: false },
  testnet: { powLimitBits: MAIN_LIMIT, allowsMinimumDifficulty: true },
  teratestnet: { powLimitBits: MAIN_LIMIT, allowsMinimumDifficulty: true },
  stn: { powLimitBits: REGTEST_LIMIT, allowsMinimumDifficulty: false },
  tstn: { powLimitBits: MAIN_LIMIT, allowsMinimumDifficulty: true },
  regtest: { powLimitBits: REGTEST_LIMIT, allowsMinimumDifficulty: true },
};

interface TopicSettings {
  readonly p2p_topic_prefix: string;
  readonly network: NetworkName;
}

/**
 * What stands before a topic's own name, joined by a hyphen: `p2p_topic_prefix` where set, else
 * `teranode/bitcoin/1.0.0/<network>`. From June to September 2025 nodes had `bitcoin/<network>`, which is to be set.
 */
export function topicPrefix({ p2p_topic_prefix: prefix, network }: TopicSettings): string {
  return prefix === '' ? `${TOPIC_ROOT}/${network}` : prefix;
}

/** The gossip topic of a kind, `<prefix>-<its setting>`. */
export function gossipTopic<K extends string>(
  settings: TopicSettings & { readonly [key in K]: unknown },
  { topic }: { readonly topic: { readonly key: K } },
): string {
  return `${topicPrefix(settings)}-${String(settings[topic.key])}`;
}
