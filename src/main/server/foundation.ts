/** What the server's parts stand on: its chain, where that is its own, and its keys. */

import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { RpcError, untilItAnswers } from '../../shared/grpc/call.js';
import type { HealthCheck } from '../../shared/health.js';
import type { Part } from '../../shared/lifecycle/part.js';
import { peerIdText } from '../../shared/net/peer-id.js';
import { type AnnouncedUrls, announcedUrls } from '../announce/urls.js';
import { EmbeddedChain } from '../chain/embedded-chain.js';
import { chainChecks } from '../chain/part.js';
import type { BlockchainClient } from '../chain/types.js';
import { loadAdminKey } from '../grpc/admin-key.js';
import { grpcExposed } from '../grpc/server.js';
import type { Foundation, LifeComponents } from '../life/foundation.js';
import { loadOrCreateKey } from '../node/identity/keys.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import { createParts, type Opened, type ServerParts } from './parts.js';

export class ServerFoundation implements Foundation {
  readonly name = 'server';
  readonly closing = { chain: () => this.#chain?.close() };
  readonly #dependencies: ServerDependencies;
  readonly #options: ServerOptions;
  readonly #urls: AnnouncedUrls;
  #waitsFor = 'the node key';
  #chain: EmbeddedChain | undefined;
  #opened: Opened | undefined;
  #parts: ServerParts | undefined;

  constructor(dependencies: ServerDependencies, options: ServerOptions) {
    this.#dependencies = dependencies;
    this.#options = options;
    this.#urls = announcedUrls(dependencies.settings);
  }

  get waitsFor(): string {
    return this.#waitsFor;
  }

  get warnings(): readonly string[] {
    return this.#urls.warnings;
  }

  /** Undefined before the parts are built. */
  get peerId(): string | undefined {
    return this.#parts?.node.peerId;
  }

  /** Undefined before they are built. */
  get parts(): ServerParts | undefined {
    return this.#parts;
  }

  get health(): readonly HealthCheck[] {
    const blockchain = this.#blockchain;
    return blockchain === undefined ? [] : chainChecks(blockchain);
  }

  /** The node's blockchain service, or the embedded chain; undefined while that is not open. */
  get #blockchain(): BlockchainClient | undefined {
    return this.#dependencies.blockchain ?? this.#chain;
  }

  async prepare(signal: AbortSignal): Promise<void> {
    this.#waitsFor = 'the chain, before it asks for DATADIR, which another server has';
    await this.#dependencies.blockchain?.waitUntilNotIdle(signal);
    this.#waitsFor = 'DATADIR, which another server has';
  }

  /** Where the node's key may be with the blockchain service, it waits for that. */
  async open(signal: AbortSignal): Promise<string> {
    this.#waitsFor = 'the node key';
    const { settings, directory, loggers, secrets, ...given } = this.#dependencies;
    const logger = loggers.of(this.name);
    if (given.blockchain === undefined) {
      this.#chain = new EmbeddedChain({ store: directory.store, logger: loggers.of('chain'), settings });
      await this.#chain.open();
    }
    const blockchain = given.blockchain ?? (this.#chain as EmbeddedChain);
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
    this.#opened = { privateKey, peerId, adminKey, blockchain, embeddedChain: this.#chain };
    return peerId;
  }

  build(components: LifeComponents): readonly Part[] {
    if (this.#opened === undefined) throw new Error('built before it is open');
    const given = { ...components, dependencies: this.#dependencies, opened: this.#opened };
    this.#parts = createParts(given, this.#urls, this.#options);
    return this.#parts.list;
  }
}
