/** Bans: the list, the scores that lead to it, and what keeps the banned out. */

import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { Connections } from '../node/connections/index.js';
import type { BanPolicy, P2PNode } from '../node/types.js';
import { BanEnforcer } from './enforcer.js';
import { BanList } from './list.js';
import { type BanMetrics, createBanMetrics } from './metrics.js';
import { createBanPolicy } from './policy.js';
import { type BanProtection, createBanProtection } from './protection.js';
import { BanScores } from './scores.js';
import type { BanStore } from './types.js';

export interface Bans {
  readonly list: BanList;
  readonly scores: BanScores;
  readonly policy: BanPolicy;
  readonly protection: BanProtection;
  readonly metrics: BanMetrics;
  readonly loading: Part;
}

export function createBans(
  { settings, loggers, registry }: PartContext,
  { store, connections }: { readonly store: BanStore; readonly connections: Connections },
): Bans {
  const metrics = createBanMetrics(registry);
  const logger = loggers.of('bans');
  const list = new BanList({ store, logger, metrics });
  const protection = createBanProtection(settings, connections);
  const scores = new BanScores(
    {
      list,
      logger,
      metrics,
      isProtected: (peer) => protection.isProtected(peer),
      addressesOf: (peer) => protection.addressesOf(peer),
    },
    {
      threshold: settings.p2p_ban_threshold,
      durationMs: settings.p2p_ban_duration,
      generation: settings.p2p_generation,
    },
  );
  return {
    list,
    scores,
    policy: createBanPolicy(list, scores),
    protection,
    metrics,
    loading: {
      name: 'ban list',
      start: () => list.open(),
      stop: () => list.stop(),
      health: [{ resource: 'BanStore', check: (signal) => list.health(signal) }],
    },
  };
}

/** Scores what `node` sees of its peers, and closes what is banned. */
export function createBanEnforcement(
  { loggers }: PartContext,
  { bans, node }: { readonly bans: Bans; readonly node: P2PNode },
): Part {
  const { list, scores, protection, metrics } = bans;
  const enforcer = new BanEnforcer({ list, node, logger: loggers.of('bans'), metrics });
  node.on('connected', (peer) => protection.met(peer));
  node.on('excess', (peer) => scores.add(peer, 'spam'));
  node.on('forged', (peer) => scores.add(peer, 'protocol_violation'));
  return {
    name: 'bans',
    start: async () => {
      list.start();
      await enforcer.start();
    },
    stop: () => enforcer.stop(),
  };
}
