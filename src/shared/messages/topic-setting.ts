/** The setting that names a topic, as plain data: the table of settings makes its row of it. */
interface TopicSetting<K extends string = string> {
  /** Teranode's key. */
  readonly key: K;
  readonly default: string;
  /** One line, for the documentation and for errors. */
  readonly doc: string;
}

/** Of a gossip topic: what stands behind the prefix and the network in its name. Never empty. */
export interface GossipTopicSetting<K extends string = string> extends TopicSetting<K> {
  /** In the first generation it has no default: it must be set. */
  readonly required?: 'first';
}

/** Of a Kafka topic: its URL. */
export interface KafkaTopicSetting<K extends string = string> extends TopicSetting<K> {
  /** Empty, there is no such topic; else empty is an error. */
  readonly optional?: true;
}
