/** What the notification servers of a benchmark have cost. */

import type { NotificationServers } from '../../src/main/websocket/index.js';

const CPU_METRIC = 'teranode_p2p_notification_server_process_cpu_seconds_total';

/** CPU seconds since the server's start. Throws where it does not tell. */
export async function serverCpu({ metricSources }: NotificationServers): Promise<number> {
  const answers = await Promise.all(metricSources.map((source) => source()));
  const figures = answers.flatMap(({ metrics }) => metrics) as {
    name: string;
    values: { value: number }[];
  }[];
  const used = figures.find(({ name }) => name === CPU_METRIC)?.values[0]?.value;
  if (used === undefined) throw new Error('the notification server did not tell its CPU time');
  return used;
}
