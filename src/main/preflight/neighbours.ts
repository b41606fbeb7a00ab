/** Whether what a server on these settings talks to is there and well: each is asked once, and nothing is changed. */

import { raceSignal } from 'race-signal';
import { deadlineSignal } from '../../shared/async/deadline.js';
import { errorMessage } from '../../shared/errors.js';
import { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import { createBlockValidationClient } from '../../shared/grpc/block-validation-client.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { KafkaTopicKey } from '../../shared/messages/topics.js';
import { kafkaTopics } from '../../shared/settings/kafka-topics.js';
import type { SettingKey, Settings } from '../../shared/settings/table.js';
import { postgresUrl } from '../../shared/settings/values/texts.js';
import { createProducer, createTopicReader } from '../../shared/sinks/kafka/index.js';
import { severalPartitions } from '../../shared/sinks/kafka/topic-reader.js';
import { PostgresBanStore } from '../bans/postgres-store.js';
import { GrpcBlockchainClient } from '../chain/grpc-client.js';
import type { Finding } from './start.js';

/** For the answer of one. */
const ANSWER_MS = 10_000;

interface Neighbour {
  readonly setting: SettingKey;
  readonly ask: (signal: AbortSignal) => Promise<DependencyHealth>;
  readonly close: () => unknown;
}

/** What each of them answers. One that is away is a fault here, though a server starts without it and waits. */
export async function checkNeighbours(
  settings: Settings,
  logger: Logger,
  { gateway = false }: { readonly gateway?: boolean } = {},
): Promise<readonly Finding[]> {
  const neighbours = gateway
    ? [readTopic(settings, logger)]
    : [...services(settings, logger), ...topics(settings, logger), ...stores(settings, logger)];
  return Promise.all(
    neighbours.map(async ({ setting, ask, close }): Promise<Finding> => {
      try {
        const { status, error = '', message } = await ask(deadlineSignal(ANSWER_MS));
        if (status === 200) return { what: 'network', state: 'well', message: `${setting}: ${message}` };
        const missing = error.endsWith(MISSING);
        return {
          what: 'network',
          state: missing ? 'warning' : 'fault',
          message: `${setting}: ${error}${missing ? ', and is made at the start' : ''}`,
        };
      } finally {
        await close();
      }
    }),
  );
}

/** What a cluster's health says of a topic that there is not. */
const MISSING = 'it does not exist';

function services(settings: Settings, logger: Logger): Neighbour[] {
  const components = { settings, logger };
  const found: Neighbour[] = [];
  if (settings.blockchain_grpcAddress !== undefined) {
    const client = new GrpcBlockchainClient(components);
    found.push({
      setting: 'blockchain_grpcAddress',
      ask: (signal) => client.health(signal),
      close: () => client.close(),
    });
  }
  if (settings.blockvalidation_grpcAddress !== undefined) {
    const client = createBlockValidationClient(components);
    found.push({
      setting: 'blockvalidation_grpcAddress',
      ask: (signal) => client.health(signal),
      close: () => client.close(),
    });
  }
  if (settings.blockassembly_grpcAddress !== undefined) {
    const address = settings.blockassembly_grpcAddress.text;
    const client = new BlockAssemblyClient(components, { deadlineMs: ANSWER_MS / 2 });
    found.push({
      setting: 'blockassembly_grpcAddress',
      ask: async () => {
        const resource = 'BlockAssemblyClient';
        return (await client.state()) === undefined
          ? { resource, status: 503, error: `${address} does not answer`, message: '' }
          : { resource, status: 200, message: `serving at ${address}` };
      },
      close: () => client.close(),
    });
  }
  return found;
}

function topics(settings: Settings, logger: Logger): Neighbour[] {
  const onCluster = kafkaTopics(settings).filter(({ scheme }) => scheme !== 'memory');
  return onCluster.map(({ setting: key }) => {
    const setting = key as KafkaTopicKey;
    const producer = createProducer(settings, setting, { logger, brokerSocketPath: undefined });
    return { setting, ask: (signal) => producer.health(signal), close: () => producer.disconnect() };
  });
}

/** The topic that a gateway reads. */
function readTopic(settings: Settings, logger: Logger): Neighbour {
  const setting = 'kafka_notificationsConfig';
  const reader = createTopicReader(settings, setting, { logger, brokerSocketPath: undefined });
  return {
    setting,
    ask: async (signal) => {
      const { topic: resource, place: message } = reader;
      try {
        const { partitions } = await raceSignal(reader.bounds(), signal);
        if (partitions === 1) return { resource, status: 200, message };
        return { resource, status: 503, error: severalPartitions(resource, partitions), message };
      } catch (error) {
        return { resource, status: 503, error: errorMessage(error), message };
      }
    },
    close: () => reader.close(),
  };
}

function stores(settings: Settings, logger: Logger): Neighbour[] {
  const url = postgresUrl(settings.blockchain_store);
  if (url === undefined) return [];
  const store = new PostgresBanStore({ url, logger });
  return [{ setting: 'blockchain_store', ask: (signal) => store.reach(signal), close: () => store.close() }];
}
