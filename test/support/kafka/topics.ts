/** Topics that tests make beforehand. */

import type { Admin, ITopicConfig } from 'kafkajs';
import { waitFor } from '../wait.js';

/**
 * Resolves with true when the topic is there and led, with false where there was one before. The library's own wait for that fails where the broker that it asks has not heard of
 * the topic yet.
 */
export async function makeTopic(admin: Admin, config: ITopicConfig): Promise<boolean> {
  if (!(await admin.createTopics({ waitForLeaders: false, topics: [config] }))) return false;
  const { topic } = config;
  const isLed = async (): Promise<boolean> => {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0]?.partitions.every(({ leader }) => leader >= 0) === true;
  };
  await waitFor(() => isLed().catch(() => false), { what: `topic ${topic} and its leaders` });
  return true;
}
