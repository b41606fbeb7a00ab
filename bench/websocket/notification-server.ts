/** The notification servers of a benchmark: their start, and what they have cost. */

import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createNotificationsMetrics, NotificationServers } from '../../src/main/websocket/index.js';
import { settingsOf } from '../../test/support/settings.js';

const CPU_METRIC = 'teranode_p2p_notification_server_process_cpu_seconds_total';

/** One process on a port that is free, which serves what comes by the frame stream at `frameSocketPath` to so many clients at the most. */
export async function startNotificationServer(
  frameSocketPath: string,
  maxConnections: number,
): Promise<NotificationServers> {
  const servers = new NotificationServers(
    {
      logger: pino({ level: 'silent' }),
      metrics: createNotificationsMetrics(new Registry()),
      settings: settingsOf({
        p2p_httpListenAddress: '127.0.0.1:0',
        p2p_websocket_max_connections: maxConnections,
        p2p_websocket_trusted_source_cidrs: ['127.0.0.0/8'],
        p2p_websocket_text_ping: false,
      }),
    },
    { frameSocketPath, peerId: '', baseUrl: '' },
  );
  await servers.start();
  while ((await servers.health()).status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
  return servers;
}

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
