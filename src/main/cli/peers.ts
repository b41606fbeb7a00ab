/** `teranode-p2p peers`. */

import type { Command } from 'commander';
import { settingsFor, withPeerService } from './context.js';
import { formatBytes, type Terminal } from './terminal.js';

/** A multiaddr without the peer ID at its end, which the table has beside it. */
export function withoutPeerId(address: string): string {
  return address.replace(/\/p2p\/[^/]*$/, '');
}

export function peersCommand(program: Command, terminal: Terminal): void {
  program
    .command('peers')
    .description('Show the peers that a running server is connected to.')
    .option('--json', 'one JSON object a line', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p peers\n  $ teranode-p2p peers --set p2p_grpcAddress=localhost:9914 --json',
    )
    .action(async ({ json }: { json: boolean }, command: Command) => {
      await withPeerService(settingsFor(command, terminal).settings, async (client) => {
        const peers = await client.getPeers();
        if (json) {
          for (const peer of peers) terminal.json(peer);
          return;
        }
        terminal.table(
          ['PEER', 'ADDRESS', 'DIRECTION', 'HEIGHT', 'SCORE', 'PING', 'RECEIVED', 'SENT', 'AGENT'],
          peers.map((peer) => [
            peer.id,
            withoutPeerId(peer.addr),
            peer.inbound ? 'in' : 'out',
            String(peer.currentHeight),
            String(peer.banscore),
            peer.pingTime > 0n ? `${(Number(peer.pingTime) / 1000).toFixed(1)} ms` : '–',
            formatBytes(peer.bytesReceived),
            formatBytes(peer.bytesSent),
            peer.subVer,
          ]),
        );
      });
    });
}
