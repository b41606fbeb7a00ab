/** What the server is handed at its door and has to start or stop: the parts that are not its own. */

import type { Part } from '../../shared/lifecycle/part.js';
import type { KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { EmbeddedChain } from '../chain/embedded-chain.js';
import type { Pipeline } from '../pipeline/index.js';
import type { ServerDependencies } from './dependencies.js';

export function embeddedBroker({ embedded: { broker } }: ServerDependencies): Part {
  return {
    name: 'embedded broker',
    start: () => broker?.start(),
    stop: () => broker?.stop(),
    setLogLevel: (level) => broker?.setLevel(level),
    health: broker === undefined ? [] : [{ resource: 'embedded broker', check: () => broker.health() }],
  };
}

/** They connect when they are asked something. */
export function serviceClients({ validation, assembly }: ServerDependencies): Part {
  return {
    name: 'validation and assembly clients',
    stop: () => {
      validation.close();
      assembly.close();
    },
    health: [{ resource: 'BlockValidationClient', check: (signal) => validation.health(signal) }],
  };
}

/** Started by those who read from them. */
export function kafkaConsumers({ rejectedTx, invalidBlocks, invalidSubtrees }: ServerDependencies): Part {
  const named: readonly (readonly [string, KafkaConsumer | undefined])[] = [
    ['rejectedtx', rejectedTx],
    ['invalid-blocks', invalidBlocks],
    ['invalid-subtrees', invalidSubtrees],
  ];
  return {
    name: 'consumers',
    // At once: each may have to give up on a broker that does not answer.
    stop: async () => {
      await Promise.all(named.map(([, consumer]) => consumer?.stop()));
    },
    health: named.flatMap(([name, consumer]) =>
      consumer === undefined
        ? []
        : [{ resource: `${name} consumer`, check: (signal) => consumer.health(signal) }],
    ),
  };
}

/** What is made up where a service is not there, once everybody listens to it. */
export function embeddedNeighbours(
  { embedded: { rejections }, loggers }: ServerDependencies,
  { chain, pipeline }: { readonly chain: EmbeddedChain | undefined; readonly pipeline: Pipeline },
): Part {
  const logger = loggers.of('server');
  if (chain !== undefined) {
    pipeline.on('fact', (fact) => {
      if (fact.type !== 'block') return;
      chain.adopt(fact).catch((error: unknown) => {
        logger.error({ hash: fact.hash, err: error }, 'the embedded chain could not follow a block');
      });
    });
  }
  return {
    name: 'embedded neighbours',
    start: async () => {
      chain?.start();
      await rejections?.start();
    },
    stop: async () => {
      await chain?.stop();
      await rejections?.stop();
    },
  };
}
