/** What the parts stand on: opened before any of them is built, and closed after the last of them has ended. */

import type { PrivateKey } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { errorMessage } from '../../shared/errors.js';
import { RpcError, untilItAnswers } from '../../shared/grpc/call.js';
import type { Logger } from '../../shared/logging/logger.js';
import { type PeerIdText, peerIdText } from '../../shared/net/peer-id.js';
import { onCluster } from '../../shared/settings/kafka-topics.js';
import { kafkaSecurityWarnings } from '../../shared/sinks/kafka/security-settings.js';
import { FLUSH_MS } from '../../shared/tracing/tracing.js';
import type { TracingOrder } from '../../shared/tracing/types.js';
import type { AnnouncedUrls } from '../announce/urls.js';
import { EmbeddedChain } from '../chain/embedded-chain.js';
import type { BlockchainClient } from '../chain/types.js';
import { type AdminKey, loadAdminKey } from '../grpc/admin-key.js';
import { grpcExposed } from '../grpc/server.js';
import { Newcomer } from '../hand-over/newcomer.js';
import type { Tenure } from '../hand-over/tenure.js';
import type { HealthServers } from '../health/servers.js';
import { loadOrCreateKey } from '../node/identity/keys.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import type { RuntimeInfo } from './runtime-info.js';

/** What was found when the directory was open. */
export interface Opened {
  readonly privateKey: PrivateKey;
  /** Base58. */
  readonly peerId: PeerIdText;
  readonly adminKey: AdminKey;
  /** The node's blockchain service, or the embedded chain. */
  readonly blockchain: BlockchainClient;
  readonly embeddedChain: EmbeddedChain | undefined;
  /** What other threads and processes are told of tracing. */
  readonly tracingOrder: TracingOrder | undefined;
}

export interface FoundationComponents {
  readonly dependencies: ServerDependencies;
  readonly tenure: Tenure;
  readonly runtimeInfo: RuntimeInfo;
  /** They are to answer while the directory or the key is waited for. */
  readonly healthServers: HealthServers;
  readonly logger: Logger;
}

export class Foundation {
  readonly #components: FoundationComponents;
  readonly #urls: AnnouncedUrls;
  readonly #options: ServerOptions;
  #waitsFor = 'the node key';
  #chain: EmbeddedChain | undefined;

  constructor(components: FoundationComponents, urls: AnnouncedUrls, options: ServerOptions) {
    this.#components = components;
    this.#urls = urls;
    this.#options = options;
  }

  /** What is waited for, for readiness. */
  get waitsFor(): string {
    return this.#waitsFor;
  }

  /** The node's blockchain service, or the embedded chain; undefined while that is not open. */
  get blockchain(): BlockchainClient | undefined {
    return this.#components.dependencies.blockchain ?? this.#chain;
  }

  /** Rejects with what the signal says, or ConfigurationError naming the setting for what cannot be used; then `close` is still to be called. */
  async open(signal: AbortSignal): Promise<Opened> {
    const { dependencies, runtimeInfo, healthServers, logger } = this.#components;
    const { settings, directory, loggers, secrets, tls, tracing } = dependencies;
    await this.#openDirectory(signal);
    await runtimeInfo.start();
    signal.throwIfAborted();
    await healthServers.start();
    tls.start();
    secrets.start();
    for (const warning of this.#urls.warnings) logger.warn(warning);
    if (onCluster(settings)) {
      for (const warning of kafkaSecurityWarnings(settings)) logger.warn(warning);
    }
    if (dependencies.blockchain === undefined) {
      this.#chain = new EmbeddedChain({ store: directory.store, logger: loggers.of('chain'), settings });
      await this.#chain.open();
    }
    const blockchain = dependencies.blockchain ?? (this.#chain as EmbeddedChain);
    const patience = { signal, logger, final: (error: unknown) => error instanceof RpcError };
    const privateKey = await loadOrCreateKey(settings, logger, {
      getState: (key) => untilItAnswers(() => blockchain.getState(key, signal), patience),
    });
    const adminKey = await loadAdminKey(
      {
        apiKey: settings.grpc_admin_api_key,
        apiKeyFile: secrets.adminKeyFile,
        dataDirectory: directory.path,
        exposed: grpcExposed(settings),
      },
      logger,
    );
    const peerId = peerIdText(peerIdFromPrivateKey(privateKey));
    const service = { peerId, clientName: settings.clientName, version: this.#options.version ?? '' };
    await tracing.open(service);
    signal.throwIfAborted();
    return {
      privateKey,
      peerId,
      adminKey,
      blockchain,
      embeddedChain: this.#chain,
      tracingOrder: tracing.orderOf(service),
    };
  }

  async #openDirectory(signal: AbortSignal): Promise<void> {
    const { dependencies, tenure, healthServers, logger } = this.#components;
    const { directory, blockchain } = dependencies;
    const prepare = async (): Promise<void> => {
      await healthServers.start();
      this.#waitsFor = 'the chain, before it asks for DATADIR, which another server has';
      await blockchain?.waitUntilNotIdle(signal);
      this.#waitsFor = 'DATADIR, which another server has';
    };
    const newcomer = new Newcomer({ tenure, logger, prepare }, directory.path, signal);
    await directory.open(() => newcomer.held());
    newcomer.end();
    this.#waitsFor = 'the node key';
  }

  /** Closes all but what holds the directory and what tells of health. Never rejects; gives the names of what failed. */
  close(): Promise<readonly string[]> {
    const { tracing, tls, secrets } = this.#components.dependencies;
    return closeAll(this.#components.logger, {
      chain: () => this.#chain?.close(),
      traces: () => tracing.close(FLUSH_MS),
      'TLS files': () => tls.stop(),
      secrets: () => secrets.stop(),
    });
  }

  /** Ends what holds the directory, after `close`. */
  async giveUp(): Promise<void> {
    await this.#components.runtimeInfo.stop();
    await this.#components.dependencies.directory.close();
  }
}

/** Closes one after the other. Never rejects; gives the names of those that failed. */
export async function closeAll(
  logger: Logger,
  all: Readonly<Record<string, () => unknown>>,
): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const [name, close] of Object.entries(all)) {
    try {
      await close();
    } catch (error) {
      failed.push(name);
      logger.warn({ part: name, reason: errorMessage(error) }, 'did not close cleanly');
    }
  }
  return failed;
}
