/** The composition root: from settings to a server with its neighbours, real or embedded. */

import { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import { createBlockValidationClient } from '../../shared/grpc/block-validation-client.js';
import { serviceFiles } from '../../shared/grpc/channel.js';
import { createNeighbourMetrics } from '../../shared/grpc/neighbour-metrics.js';
import { localSocketPath } from '../../shared/ipc/socket-path.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { KafkaTopicKey } from '../../shared/messages/topics.js';
import { checkContextOf } from '../../shared/pipeline/check-context.js';
import { needsEmbeddedBroker } from '../../shared/settings/kafka-topics.js';
import type { Settings } from '../../shared/settings/table.js';
import { createConsumerMetrics } from '../../shared/sinks/kafka/consumer-metrics.js';
import { createConsumer, createProducer } from '../../shared/sinks/kafka/index.js';
import type { KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import { EmbeddedBrokerThread } from '../broker/index.js';
import { EmbeddedRejections } from '../chain/embedded-rejections.js';
import { GrpcBlockchainClient } from '../chain/grpc-client.js';
import type { DataDirectory } from '../data-directory/data-directory.js';
import { grpcServerFiles } from '../grpc/server.js';
import { lifeDependencies } from '../life/dependencies.js';
import { packageVersion } from '../life/version.js';
import { refuseProblems } from '../preflight/settings.js';
import { GuardedHttp } from '../sync/guarded-http.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import { P2PServer } from './server.js';

/** WIRE §3: `p2p.<clientName>`, in the first generation `p2p`. */
export function consumerGroup(settings: Pick<Settings, 'p2p_generation' | 'clientName'>): string {
  return settings.p2p_generation === 'first' || settings.clientName === ''
    ? 'p2p'
    : `p2p.${settings.clientName}`;
}

/**
 * The neighbours that `settings` ask for. Nothing is connected to, opened or written. `directory`: where it is open already. Throws ConfigurationError with
 * every problem.
 */
export function composeDependencies(
  settings: Settings,
  logger: Logger,
  directory?: DataDirectory,
): ServerDependencies {
  refuseProblems(settings);
  const common = lifeDependencies(settings, logger, {
    directory,
    sets: { peerservice: grpcServerFiles(settings), services: serviceFiles(settings) },
  });
  const { loggers, registry, tls, tracing, secrets } = common;
  const brokerSocketPath = needsEmbeddedBroker(settings)
    ? localSocketPath(common.directory.path, 'broker.sock')
    : undefined;
  if (tracing.config !== undefined) {
    const { exporters, protocol, ratio } = tracing.config;
    logger.info({ component: 'tracing', exporters, protocol, ratio }, 'messages and calls are traced');
  }
  const neighbours = {
    settings,
    secrets,
    tls: tls.of('services'),
    metrics: createNeighbourMetrics(registry),
    tracers: tracing,
  };
  const kafka = { logger: loggers.of('kafka'), brokerSocketPath, tls: tls.of('kafka'), secrets };
  const consuming = { ...kafka, group: consumerGroup(settings), metrics: createConsumerMetrics(registry) };
  const consumerOf = (key: KafkaTopicKey): KafkaConsumer | undefined =>
    settings[key] === undefined ? undefined : createConsumer(settings, key, consuming);
  return {
    ...common,
    blockchain:
      settings.blockchain_grpcAddress === undefined
        ? undefined
        : new GrpcBlockchainClient({ ...neighbours, logger: loggers.of('blockchain') }),
    validation: createBlockValidationClient({ ...neighbours, logger: loggers.of('validation') }),
    assembly: new BlockAssemblyClient({ ...neighbours, logger: loggers.of('assembly') }),
    dataHubs: new GuardedHttp({
      context: checkContextOf(settings),
      refuseReserved: settings.p2p_refuse_reserved_addresses,
      tracers: tracing,
    }),
    rejectedTx: consumerOf('kafka_rejectedTxConfig'),
    invalidBlocks: consumerOf('kafka_invalidBlocksConfig'),
    invalidSubtrees: consumerOf('kafka_invalidSubtreesConfig'),
    embedded: {
      broker:
        brokerSocketPath === undefined
          ? undefined
          : new EmbeddedBrokerThread(
              { logger: loggers.of('broker') },
              {
                socketPath: brokerSocketPath,
                logLevel: logger.level,
                heapMb: settings.p2p_heap_broker,
                node: settings.clientName,
              },
            ),
      rejections:
        settings.p2p_embedded_rejected_tx_interval > 0
          ? new EmbeddedRejections({
              settings,
              logger: kafka.logger,
              producer: createProducer(settings, 'kafka_rejectedTxConfig', kafka),
            })
          : undefined,
    },
    brokerSocketPath,
  };
}

/** A server on `settings`, not yet initialised. Throws ConfigurationError with every problem. */
export function composeServer(
  settings: Settings,
  {
    logger,
    directory,
    ...options
  }: { readonly logger: Logger; readonly directory?: DataDirectory } & ServerOptions,
): P2PServer {
  const dependencies = composeDependencies(settings, logger, directory);
  return P2PServer.create(dependencies, { version: packageVersion(), ...options });
}
