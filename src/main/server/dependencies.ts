/** What the server is handed at its door. Two real implementations each: for the neighbour, and embedded. */

import type { Registry } from 'prom-client';
import type { BlockAssemblyClient } from '../../shared/grpc/block-assembly-client.js';
import type { BlockValidationClient } from '../../shared/grpc/block-validation-client.js';
import type { ComponentLoggers, Logger } from '../../shared/logging/logger.js';
import type { Secrets } from '../../shared/secrets/secrets.js';
import type { SettingsOrigin } from '../../shared/settings/load.js';
import type { Settings } from '../../shared/settings/table.js';
import type { KafkaConsumer } from '../../shared/sinks/kafka/types.js';
import type { TlsWatch } from '../../shared/tls/watch.js';
import type { Tracing } from '../../shared/tracing/tracing.js';
import type { BanStore } from '../bans/types.js';
import type { EmbeddedBrokerThread } from '../broker/index.js';
import type { EmbeddedChain } from '../chain/embedded-chain.js';
import type { EmbeddedRejections } from '../chain/embedded-rejections.js';
import type { PeerRegistryCalls } from '../chain/peer-registry-calls.js';
import type { BlockchainClient } from '../chain/types.js';
import type { DataDirectory } from '../data-directory/data-directory.js';
import type { Tenure } from '../hand-over/tenure.js';
import type { GuardedHttp } from '../sync/guarded-http.js';

export interface ServerDependencies {
  /** Loaded and checked (`loadSettings`). */
  readonly settings: Settings;
  readonly logger: Logger;
  /** Of the parts handed in here and of those that the server makes: their levels change together. */
  readonly loggers: ComponentLoggers;
  /** Of the main process; the figures of the others are added at each scrape. */
  readonly registry: Registry;
  /** The files of TLS that the server uses; looked at from `init` to the end of `stop`. */
  readonly tls: TlsWatch;
  /** Keys and passwords, those in files looked at as long. */
  readonly secrets: Secrets;
  /** Opened in `init`, closed at the end of `stop`. */
  /** Of the main process. Opened in `init`, closed at the end of `stop`. */
  readonly tracing: Tracing;
  readonly directory: DataDirectory;
  readonly blockchain: BlockchainClient;
  /** The registry of peers that the services of a node share, where there is a blockchain service. */
  readonly peerRegistry: PeerRegistryCalls | undefined;
  readonly validation: BlockValidationClient;
  readonly assembly: BlockAssemblyClient;
  readonly banStore: BanStore;
  /** How data hubs of peers are asked. */
  readonly dataHubs: Pick<GuardedHttp, 'get'>;
  /** Rejected transactions of our own node. Producers belong to the publisher, which makes them from the settings. */
  readonly rejectedTx: KafkaConsumer | undefined;
  /** What our node's validation found invalid, where it is told. */
  readonly invalidBlocks: KafkaConsumer | undefined;
  readonly invalidSubtrees: KafkaConsumer | undefined;
  readonly embedded: {
    /** The same object as `blockchain`, where that is embedded: it mines and follows. */
    readonly chain: EmbeddedChain | undefined;
    readonly broker: EmbeddedBrokerThread | undefined;
    readonly rejections: EmbeddedRejections | undefined;
  };
  /** Local socket of the embedded broker, where it runs. */
  readonly brokerSocketPath: string | undefined;
}

export interface ServerOptions {
  /** What this process knows of holders of `DATADIR`, where it outlives the server. */
  readonly tenure?: Tenure;
  /** Told in node_status and status where the setting is empty. */
  readonly version?: string;
  /** Where the settings were found, where they were looked for. */
  readonly origin?: SettingsOrigin;
}
