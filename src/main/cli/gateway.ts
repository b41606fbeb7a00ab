/** `teranode-p2p gateway`: notification servers alone, fed by the notifications topic. */

import type { Command } from 'commander';
import { type Program, startServer } from './start.js';

export const GATEWAY: Program = {
  check: async () => (await import('../gateway/problems.js')).gatewayProblems,
  compose: async () => {
    const { composeGateway } = await import('../gateway/compose.js');
    return ({ settings }, parts) => composeGateway(settings, parts);
  },
};

export function gatewayCommand(program: Command): void {
  program
    .command('gateway')
    .description(
      'Serve the feed from the notifications topic, without a node, until SIGTERM, SIGINT or SIGHUP.',
    )
    .addHelpText(
      'after',
      `
Nodes write the topic where kafka_notificationsConfig names it. Any number of gateways read it, each with a DATADIR of its own; a client
may go from one to another with its cursor.

Examples:
  $ teranode-p2p gateway --set kafka_notificationsConfig=kafka://kafka:9092/notifications --set DATADIR=data/gateway`,
    )
    .action((_options: object, command: Command) => startServer(command, GATEWAY));
}
