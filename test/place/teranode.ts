/**
 * What stands around the P2P service of a Teranode that the quickstart runs, on its ports: grpc-go servers for the blockchain service with its registry of
 * peers, for block validation and block assembly, a real Kafka, a Postgres, and a peer in the network that is a client of Go's message bus. For a network
 * namespace of its own, in which nobody else has these ports; {@link HOSTS} says what the names of the compose file are there.
 */

import pg from 'pg';
import { type HashHex, hashToBytes } from '../../src/shared/bitcoin/hash.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import { BusClient, type BusOptions, NOBODY } from '../interop/bus.js';
import { type GoAnswer, GoGrpcServer, GoStatus } from '../interop/grpc.js';
import { goTopic } from '../interop/params.js';
import { minedChain } from '../support/headers.js';
import { type KafkaCluster, startKafka } from '../support/kafka/index.js';
import { type Postgres, startPostgres } from '../support/postgres.js';
import type { CleansUp } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

export const NETWORK = 'regtest';

/** Addresses of the compose file's names. */
export const HOSTS = {
  blockchain: '127.0.1.1',
  blockvalidation: '127.0.1.2',
  blockassembly: '127.0.1.3',
  'kafka-shared': '127.0.0.1',
  postgres: '127.0.0.1',
  asset: '127.0.1.6',
  peer: '127.0.0.1',
} as const;

const CHAIN = 'blockchain_api.BlockchainAPI';
const REGISTRY = 'blockchain_api.PeerRegistryService';
const VALIDATION = 'blockvalidation_api.BlockValidationAPI';
const ASSEMBLY = 'blockassembly_api.BlockAssemblyAPI';

/** Kinds of the current generation, by the last part of their topics. */
const TOPICS = ['block', 'subtree', 'rejected_tx', 'node_status'].map((name) => goTopic(name, NETWORK));

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const wire = (hash: HashHex): string => base64(hashToBytes(hash));

/** Height of the tip at the start. */
const HEIGHT = 3;

export class Teranode {
  readonly kafka: KafkaCluster;
  readonly postgres: Postgres;
  readonly blockchain: GoGrpcServer;
  readonly validation: GoGrpcServer;
  readonly assembly: GoGrpcServer;
  readonly #headers: readonly Uint8Array[];
  #height = HEIGHT;

  private constructor(context: CleansUp, kafka: KafkaCluster, postgres: Postgres) {
    this.kafka = kafka;
    this.postgres = postgres;
    this.#headers = minedChain(HEIGHT + 2);
    const health: GoAnswer = () => ({ ok: true, details: 'OK' });
    this.blockchain = new GoGrpcServer(context, [CHAIN, REGISTRY], {
      HealthGRPC: health,
      GetBestBlockHeader: () => this.#headerAt(this.#height),
      GetBlockHeader: ({ message }) => {
        const at = this.#headers.findIndex((header) => wire(headerHash(header)) === message.blockHash);
        return at === -1 || at >= this.#height ? new GoStatus(5, 'not found') : this.#headerAt(at + 1);
      },
      GetFSMCurrentState: () => ({ state: 'RUNNING' }),
      WaitUntilFSMTransitionFromIdleState: () => ({}),
      GetState: () => new GoStatus(5, 'not found'),
      SetState: () => ({}),
      // Stays open: the opening notification is the tip.
      Subscribe: async ({ call }) => {
        await this.blockchain.send(call, [{ type: 'Block', hash: wire(this.tip) }]);
        return undefined;
      },
    });
    this.validation = new GoGrpcServer(context, [VALIDATION], { HealthGRPC: health, BlockFound: () => ({}) });
    this.assembly = new GoGrpcServer(context, [ASSEMBLY], {
      GetBlockAssemblyState: () => ({ txCount: '77', subtreeCount: 5, currentHeight: HEIGHT }),
    });
  }

  /** Resolves when all of them answer. */
  static async start(context: CleansUp): Promise<Teranode> {
    const [kafka, postgres] = await Promise.all([
      startKafka(context, { own: true, port: 9092 }),
      startPostgres(context, { port: 5432 }),
    ]);
    // Its blockchain service's.
    await postgres.query('CREATE DATABASE teranode');
    const teranode = new Teranode(context, kafka, postgres);
    for (const [server, host, port] of [
      [teranode.blockchain, HOSTS.blockchain, 8087],
      [teranode.validation, HOSTS.blockvalidation, 8088],
      [teranode.assembly, HOSTS.blockassembly, 8085],
    ] as const) {
      server.address = `${host}:${port}`;
      await server.listen(server === teranode.blockchain ? { registry: true } : {});
    }
    return teranode;
  }

  /** The best block, display order. */
  get tip(): HashHex {
    return headerHash(this.#headers[this.#height - 1] as Uint8Array);
  }

  get height(): number {
    return this.#height;
  }

  /** The node has found a block: its tip, and a notification of it. Gives its hash. */
  async mine(): Promise<HashHex> {
    this.#height++;
    await this.notify('Block', this.tip);
    return this.tip;
  }

  /** Tells every subscriber. */
  async notify(type: string, hash: HashHex): Promise<void> {
    const open = await waitFor(
      () => this.blockchain.calls.filter(({ method }) => method === 'Subscribe').at(-1),
      {
        what: 'a subscription to the blockchain service',
      },
    );
    await this.blockchain.send(open.call, [{ type, hash: wire(hash) }]);
  }

  /** The rows of the node's table of bans. */
  async bans(): Promise<{ key: string; subnet: string }[]> {
    const client = new pg.Client({ connectionString: 'postgres://teranode@127.0.0.1:5432/teranode' });
    await client.connect();
    try {
      return (await client.query<{ key: string; subnet: string }>('SELECT key, subnet FROM bans')).rows;
    } finally {
      await client.end();
    }
  }

  #headerAt(height: number): object {
    const header = this.#headers[height - 1] as Uint8Array;
    return {
      blockHeader: base64(header),
      height,
      tx_count: '1',
      size_in_bytes: '285',
      miner: '/stand-in/',
      chain_work: base64(Buffer.from(height.toString(16).padStart(64, '0'), 'hex')),
    };
  }
}

/** A client of the message bus on the node's topics: a peer, or with the node's key and port what the node's own P2P service is on the wire. */
export function startBus(
  context: CleansUp,
  options: Pick<BusOptions, 'name'> & Partial<BusOptions>,
): Promise<BusClient> {
  return BusClient.start(context, { bootstrap: [NOBODY], dhtMode: 'off', topics: TOPICS, ...options });
}
