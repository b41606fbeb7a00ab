/** What readiness asks: every neighbour and every part without which this server cannot do its work. */

import type { DependencyHealth } from '../../shared/health.js';
import type { KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { FsmState } from '../chain/types.js';
import { descriptorHealth } from '../health/descriptors.js';
import type { ReadinessCheck } from '../health/readiness.js';
import type { RegistryClient } from '../peers/service/client.js';
import type { ServerDependencies } from './dependencies.js';
import type { ServerParts } from './parts.js';

/** The checks of a running server, in the order of the report. */
export function readinessChecks(dependencies: ServerDependencies, parts: ServerParts): ReadinessCheck[] {
  const { validation, embedded } = dependencies;
  return [
    // The publisher speaks for its producers and its outbox.
    { resource: 'Kafka', check: () => parts.pipeline.publisher.ask('health', {}) },
    ...consumerChecks(dependencies),
    ...(embedded.broker === undefined
      ? []
      : [
          {
            resource: 'embedded broker',
            check: () => (embedded.broker as NonNullable<typeof embedded.broker>).health(),
          },
        ]),
    ...chainChecks(dependencies),
    ...(parts.registryClient === undefined ? [] : [registryCheck(parts.registryClient)]),
    { resource: 'blockchain subscription', check: async () => parts.chain.health() },
    { resource: 'data hub', check: async () => parts.announcer.dataHubHealth() },
    { resource: 'BlockValidationClient', check: (signal) => validation.health(signal) },
    { resource: 'notification servers', check: () => parts.notifications.health() },
    { resource: 'admin key', check: async () => parts.adminKey.health() },
    { resource: 'BanStore', check: (signal) => parts.bans.health(signal) },
    { resource: 'open files', check: async () => descriptorHealth() },
    { resource: 'libp2p', check: () => parts.node.health() },
  ];
}

/** Shown; never a reason to take a node out of service. */
const registryCheck = (client: RegistryClient): ReadinessCheck => ({
  resource: 'PeerRegistryClient',
  check: async () => client.health(),
});

function consumerChecks({
  rejectedTx,
  invalidBlocks,
  invalidSubtrees,
}: ServerDependencies): ReadinessCheck[] {
  const checkOf = (name: string, consumer: KafkaConsumer | undefined): ReadinessCheck[] =>
    consumer === undefined
      ? []
      : [{ resource: `${name} consumer`, check: (signal) => consumer.health(signal) }];
  return [
    ...checkOf('rejectedtx', rejectedTx),
    ...checkOf('invalid-blocks', invalidBlocks),
    ...checkOf('invalid-subtrees', invalidSubtrees),
  ];
}

/** What a start may have to wait for. */
export function chainChecks({ blockchain }: Pick<ServerDependencies, 'blockchain'>): ReadinessCheck[] {
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
