/**
 * Direct peers that are in the mesh as well, where they have a place for us there.
 *
 * Reason: what is said is always sent on to a direct peer, and it is never grafted: that it does the same is agreed on both sides. A
 * static or bootstrap peer that does not have us among its own direct peers sends to its mesh alone, asks us to join it, is pruned,
 * and its messages come by IHAVE and IWANT, a heartbeat late at best. Nor does one whose mesh is full ask.
 *
 * So a direct peer's GRAFT is taken like anybody's, and it is asked once itself. One that has us as a direct peer answers with a PRUNE,
 * which leaves it what it was: we send it everything, and it us.
 *
 * Gain: a block of a static peer that does not reciprocate comes at once.
 */

import type { RPC } from '@chainsafe/libp2p-gossipsub/message';

/** Until a peer that had no place for us is asked again. Go logs a warning each time where we are its direct peer. */
const ASK_AGAIN_MS = 600_000;

/** What GossipSub has and its exported type does not show. */
export interface DirectGossip {
  heartbeat(): Promise<void>;
  handleGraft(id: string, graft: RPC.ControlGraft[]): Promise<RPC.ControlPrune[]>;
  /** The reason is a label of a metric. */
  addToMesh(id: string, topic: string, reason: string): void;
  sendGraft(id: string, topics: string[]): void;
  readonly direct: Set<string>;
  readonly mesh: ReadonlyMap<string, ReadonlySet<string>>;
  /** Who is subscribed, by topic. */
  readonly topics: ReadonlyMap<string, ReadonlySet<string>>;
  readonly backoff: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly streamsOutbound: ReadonlyMap<string, object>;
}

/** Applies the patch to one GossipSub. */
export function meshWithDirectPeers(gossip: DirectGossip, { askAgainMs = ASK_AGAIN_MS } = {}): void {
  const handleGraft = gossip.handleGraft.bind(gossip);
  gossip.handleGraft = (id, graft) => {
    const direct = gossip.direct.delete(id);
    try {
      // It decides before it waits for anything.
      return handleGraft(id, graft);
    } finally {
      if (direct) gossip.direct.add(id);
    }
  };

  /** When a topic was asked for, by the stream: a new connection asks anew. */
  const asked = new WeakMap<object, Map<string, number>>();
  const ask = (id: string): void => {
    const stream = gossip.streamsOutbound.get(id);
    if (stream === undefined) return;
    const before = asked.get(stream) ?? new Map<string, number>();
    asked.set(stream, before);
    const wanted: string[] = [];
    for (const [topic, members] of gossip.mesh) {
      if (members.has(id) || gossip.topics.get(topic)?.has(id) !== true) continue;
      if (gossip.backoff.get(topic)?.has(id) === true) continue;
      if (performance.now() < (before.get(topic) ?? Number.NEGATIVE_INFINITY) + askAgainMs) continue;
      before.set(topic, performance.now());
      gossip.addToMesh(id, topic, 'subscribed');
      wanted.push(topic);
    }
    if (wanted.length > 0) gossip.sendGraft(id, wanted);
  };
  const heartbeat = gossip.heartbeat.bind(gossip);
  gossip.heartbeat = () => {
    for (const id of gossip.direct) ask(id);
    return heartbeat();
  };
}
