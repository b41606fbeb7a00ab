/** What the libp2p node counts. */

import { Counter, Gauge, type Registry } from 'prom-client';
import { zeroedCounter } from '../../../shared/metrics/zeroed-counter.js';

export type NodeMetrics = ReturnType<typeof createNodeMetrics>;

/** Registers the node's metrics; once a registry. `observe` is called before each scrape, to set the gauges; `kinds` are those of the messages. */
export function createNodeMetrics(
  registry: Registry,
  observe: () => void = () => {},
  kinds: readonly string[] = [],
) {
  const registers = [registry];
  const keyElsewhere = zeroedCounter({
    name: 'teranode_p2p_node_key_elsewhere_total',
    help: "Signs that another node runs with this node's key: its handshake, or gossip in our name.",
    labels: { seen: ['handshake', 'gossip'] },
    registers,
  });
  return {
    keyElsewhere,
    received: zeroedCounter({
      name: 'teranode_p2p_node_heard_total',
      help: 'Gossip messages whose signature holds, by kind.',
      labels: { kind: kinds },
      registers,
    }),
    verdicts: zeroedCounter({
      name: 'teranode_p2p_node_verdicts_total',
      help: 'Verdicts given to GossipSub.',
      labels: { verdict: ['accept', 'ignore', 'reject'] },
      registers,
    }),
    unknownVerdicts: new Counter({
      name: 'teranode_p2p_node_verdicts_unknown_total',
      help: 'Verdicts for messages that await none.',
      registers,
    }),
    published: zeroedCounter({
      name: 'teranode_p2p_node_published_total',
      help: 'Messages published, by kind.',
      labels: { kind: kinds },
      registers,
    }),
    pending: new Gauge({
      name: 'teranode_p2p_node_pending_messages',
      help: 'Messages received and without a verdict, being verified included.',
      registers,
      collect: observe,
    }),
    pauses: new Counter({
      name: 'teranode_p2p_node_stream_pauses_total',
      help: 'Inbound streams paused because too many of their messages were pending.',
      registers,
    }),
    pausedStreams: new Gauge({
      name: 'teranode_p2p_node_paused_streams',
      help: 'Inbound streams paused now.',
      registers,
      collect: observe,
    }),
    budgetDropped: new Counter({
      name: 'teranode_p2p_node_budget_dropped_total',
      help: "Messages dropped unverified because their connection's budget of the second was used up.",
      registers,
    }),
    budgetExcess: new Counter({
      name: 'teranode_p2p_node_budget_excess_total',
      help: 'Times a connection was found in persistent excess of its budget.',
      registers,
    }),
    signatures: zeroedCounter({
      name: 'teranode_p2p_node_signatures_total',
      help: 'Messages whose signatures were verified, and if they hold checked, by result and by where: in a checker’s thread or by main.',
      labels: { result: ['holds', 'forged'], where: ['thread', 'main'] },
      registers,
    }),
    unblamed: new Counter({
      name: 'teranode_p2p_node_invalid_relayed_total',
      help: 'Invalid messages of others than who sent them, and of authors without an Ed25519 key: dropped, nobody scored.',
      registers,
    }),
    forgeries: new Counter({
      name: 'teranode_p2p_node_forgeries_total',
      help: 'Invalid messages in the name of who sent them, beyond those that may be by mistake: each is scored as protocol_violation.',
      registers,
    }),
    stalledPeers: new Counter({
      name: 'teranode_p2p_node_stalled_peers_total',
      help: 'Connections closed because their peer did not read what it was sent.',
      registers,
    }),
    deadConnections: new Counter({
      name: 'teranode_p2p_node_dead_connections_total',
      help: 'Connections ended because nothing came over them any more and pings were not answered.',
      registers,
    }),
    gossipBytes: new Gauge({
      name: 'teranode_p2p_node_gossip_bytes',
      help: 'What GossipSub remembers: ids of the last two minutes, and messages for whoever asks for them by id.',
      labelNames: ['of'],
      registers,
      collect: observe,
    }),
    gossipStreamsMissing: new Gauge({
      name: 'teranode_p2p_node_gossip_streams_missing',
      help: 'Connected peers of the gossip protocol without a gossip stream, by direction: outbound is ours to them.',
      labelNames: ['direction'],
      registers,
      collect: observe,
    }),
    gossipStreamsOpened: zeroedCounter({
      name: 'teranode_p2p_node_gossip_streams_opened_total',
      help: 'Gossip streams opened to peers, by why: the first of a connected peer, the one before was lost, moved to the kept connection, or renewed to have the peer open its own.',
      labels: { reason: ['first', 'lost', 'moved', 'renewed'] },
      registers,
    }),
    deafPeers: new Counter({
      name: 'teranode_p2p_node_deaf_peers_total',
      help: 'Peers whose connections were closed because a gossip stream was missing for 30 s.',
      registers,
    }),
    duplicateConnections: zeroedCounter({
      name: 'teranode_p2p_node_duplicate_connections_total',
      help: 'Connections to a peer that has another: closed, or left because it comes back with one each time.',
      labels: { outcome: ['closed', 'left'] },
      registers,
    }),
    peers: new Gauge({
      name: 'teranode_p2p_node_peers',
      help: 'Connected peers.',
      registers,
      collect: observe,
    }),
    strangers: new Gauge({
      name: 'teranode_p2p_node_peers_without_shared_topic',
      help: 'Connected peers that have been subscribed to none of our topics for 30 s.',
      registers,
      collect: observe,
    }),
  };
}
