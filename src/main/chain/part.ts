/** The chain: its service, or the embedded one in its place, and what follows it. */

import type { DependencyHealth, HealthCheck } from '../../shared/health.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { ChainFollower } from './follower.js';
import { createChainMetrics } from './metrics.js';
import type { BlockchainClient, FsmState } from './types.js';

/** What a start may have to wait for. */
export function chainChecks(blockchain: BlockchainClient): readonly HealthCheck[] {
  return [
    { resource: 'BlockchainClient', check: (signal) => blockchain.health(signal) },
    { resource: 'FSM', check: async (signal) => fsmHealth(await blockchain.getFsmState(signal)) },
  ];
}

/** Out of IDLE the server can work, whatever else the chain is busy with. */
function fsmHealth(state: FsmState): DependencyHealth {
  const resource = 'FSM';
  return state === 'IDLE'
    ? { resource, status: 503, error: 'the chain is idle', message: state }
    : { resource, status: 200, message: state };
}

export interface Chain {
  readonly follower: ChainFollower;
  readonly service: Part;
  readonly following: Part;
}

export function createChain({ loggers, registry }: PartContext, blockchain: BlockchainClient): Chain {
  const follower = new ChainFollower({
    chain: blockchain,
    logger: loggers.of('announce'),
    metrics: createChainMetrics(registry),
  });
  return {
    follower,
    service: {
      name: 'chain',
      start: (signal) => blockchain.waitUntilNotIdle(signal),
      stop: () => blockchain.close(),
      health: chainChecks(blockchain),
    },
    following: {
      name: 'chain follower',
      start: () => follower.start(),
      stop: () => follower.stop(),
      health: [{ resource: 'blockchain subscription', check: async () => follower.health() }],
    },
  };
}
