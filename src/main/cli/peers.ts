/** `teranode-p2p peers`. */

import type { Command } from 'commander';
import type { PeerRegistryInfo, PeerServiceClient } from '../../shared/grpc/peer-service-client.js';
import { settingsFor, withPeerService } from './context.js';
import { formatBytes, type Terminal } from './terminal.js';

/** A multiaddr without the peer ID at its end, which the table has beside it. */
export function withoutPeerId(address: string): string {
  return address.replace(/\/p2p\/[^/]*$/, '');
}

/** The registry by peer ID; empty of a server that has none. */
async function registryOf(client: PeerServiceClient): Promise<Map<string, PeerRegistryInfo>> {
  try {
    return new Map((await client.getPeerRegistry()).map((info) => [info.id, info]));
  } catch (error) {
    // The client has loaded them.
    const { RpcError } = await import('../../shared/grpc/call.js');
    const { status: Status } = await import('@grpc/grpc-js');
    if (error instanceof RpcError && error.code === Status.UNIMPLEMENTED) return new Map();
    throw error;
  }
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
      await withPeerService(settingsFor(command, terminal).settings, terminal, async (client) => {
        const peers = await client.getPeers();
        const registry = await registryOf(client);
        if (json) {
          for (const peer of peers) terminal.json({ ...peer, registry: registry.get(peer.id) });
          return;
        }
        terminal.table(
          [
            'PEER',
            'NAME',
            'ADDRESS',
            'DIRECTION',
            'HEIGHT',
            'REPUTATION',
            'SCORE',
            'PING',
            'RECEIVED',
            'SENT',
            'AGENT',
          ],
          peers.map((peer) => [
            peer.id,
            registry.get(peer.id)?.client_name || '–',
            withoutPeerId(peer.addr),
            peer.inbound ? 'in' : 'out',
            String(registry.get(peer.id)?.height ?? peer.currentHeight),
            registry.get(peer.id)?.reputation_score.toFixed(0) ?? '–',
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
