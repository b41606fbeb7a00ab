/** What the server is handed at its door. Two real implementations each: for the neighbour, and embedded. */

import type { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import type { BlockValidationClient } from '../../shared/grpc/block-validation-client.js';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { SettingsOrigin } from '../../shared/settings/load.js';
import type { KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { EmbeddedBrokerThread } from '../broker/index.js';
import type { EmbeddedRejections } from '../chain/embedded-rejections.js';
import type { GrpcBlockchainClient } from '../chain/grpc-client.js';
import type { LifeDependencies } from '../life/dependencies.js';
import type { LifeOptions } from '../life/life.js';
import type { GuardedHttp } from '../sync/guarded-http.js';

export interface ServerDependencies extends LifeDependencies {
  /** The node's blockchain service; undefined: a chain of the server's own, in the directory. */
  readonly blockchain: GrpcBlockchainClient | undefined;
  readonly validation: BlockValidationClient;
  readonly assembly: BlockAssemblyClient;
  /** How data hubs of peers are asked. */
  readonly dataHubs: Pick<GuardedHttp, 'get'>;
  /** Rejected transactions of our own node. Producers belong to the publisher, which makes them from the settings. */
  readonly rejectedTx: KafkaConsumer | undefined;
  /** What our node's validation found invalid, where it is told. */
  readonly invalidBlocks: KafkaConsumer | undefined;
  readonly invalidSubtrees: KafkaConsumer | undefined;
  readonly embedded: {
    readonly broker: EmbeddedBrokerThread | undefined;
    readonly rejections: EmbeddedRejections | undefined;
  };
  /** Local socket of the embedded broker, where it runs. */
  readonly brokerSocketPath: string | undefined;
}

/** Makes a part out of what every part may use. Nothing is touched before its start. */
type CreatePart = (context: PartContext) => Part;

export interface ServerOptions extends LifeOptions {
  /** Where the settings were found, where they were looked for. */
  readonly origin?: SettingsOrigin;
  /** Further parts, which are started after all others but for the status. */
  readonly parts?: readonly CreatePart[];
}
