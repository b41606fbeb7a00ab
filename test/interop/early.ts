/**
 * A network of early 2025: one settings file, as that time's, for its bootstrap server, its nodes and ours. The Go programs (`early/`) read it
 * with the library that Teranode reads settings with.
 */

import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { generateKeyHex, parseKeyHex } from '../../src/main/node/identity/keys.js';
import { gossipTopic } from '../../src/shared/bitcoin/networks.js';
import { loadSettings } from '../../src/shared/settings/load.js';
import type { Settings } from '../../src/shared/settings/table.js';
import { kindNamed } from '../support/kinds.js';
import { SHARES_PORT } from '../support/notifications.js';
import { type CleansUp, temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';
import { EARLY } from './build.js';
import { GoNode, type GoNodeAddress, type TopicMessage } from './go-node.js';
import { Neighbour } from './neighbour.js';

export const SHARED_KEY = '5d'.repeat(32);
/** Where nothing listens. */
export const NOBODY = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

/** A node's part in the file: its context is `docker.<name>`. */
export type NodeName = 'teranode1' | 'teranode2' | 'teranode3';
const NAMES: readonly NodeName[] = ['teranode1', 'teranode2', 'teranode3'];

/** What the Go node has read. */
export type EarlySettings = Readonly<Record<string, unknown>>;

export interface EarlyMessage extends TopicMessage {
  readonly source: string;
}

/** A frame for WebSocket clients, without its time. */
export type EarlyFrame = { readonly type: string } & Readonly<Record<string, unknown>>;

/** A Kafka record that it would write. */
export interface EarlyRecord {
  readonly topic: 'blocks' | 'subtrees';
  /** Hex. */
  readonly value: string;
}

export interface EarlyTip {
  readonly hash: string;
  readonly height: number;
}

export interface EarlyMiningOn extends EarlyTip {
  readonly previousHash: string;
  readonly miner: string;
  /** Digits. */
  readonly sizeInBytes: string;
  readonly txCount: string;
}

export class EarlyNode extends GoNode<EarlyMessage> {
  static async start(program: Neighbour, options: { readonly older: boolean }): Promise<EarlyNode> {
    return new EarlyNode(program, await program.call('start', options));
  }

  /** Texts of messages as they were published. */
  block(tip: EarlyTip): Promise<string> {
    return this.program.call('block', tip);
  }

  subtree(hash: string): Promise<string> {
    return this.program.call('subtree', { hash });
  }

  miningOn(what: EarlyMiningOn): Promise<string> {
    return this.program.call('miningOn', what);
  }

  rejectedTx(txId: string, reason: string): Promise<string> {
    return this.program.call('rejectedTx', { txId, reason });
  }

  /** Asks the network for its best block. */
  ask(): Promise<string> {
    return this.program.call('ask');
  }

  /** Tells the node what its chain would say; until then it answers nobody. */
  best(tip: EarlyTip): Promise<void> {
    return this.program.call('best', tip);
  }

  connect(address: string): Promise<void> {
    return this.program.call('connect', { address });
  }

  connected(): Promise<string[]> {
    return this.program.call('connected');
  }

  /** Bans an address, which disconnects whoever is at it, and no more. */
  ban(address: string): Promise<void> {
    return this.program.call('ban', { address });
  }

  frame(wanted: (frame: EarlyFrame) => boolean, what: string): Promise<EarlyFrame> {
    return this.program.event('notification', wanted, `the early node's frame: ${what}`);
  }

  record(wanted: (record: EarlyRecord) => boolean, what: string): Promise<EarlyRecord> {
    return this.program.event('record', wanted, `the early node's record: ${what}`);
  }

  /** What it would have logged as errors. */
  get problems(): unknown[] {
    return this.program.events.filter(({ event }) => event === 'problem').map(({ value }) => value);
  }

  /** How often `peer` has come, and gone. */
  comings(peer: string): { readonly came: number; readonly went: number } {
    const count = (name: string) =>
      this.program.events.filter(({ event, value }) => event === name && value === peer).length;
    return { came: count('connected'), went: count('disconnected') };
  }

  /** Resolves when `peer` is known to listen to `topic`: what is published then gets there. */
  async listens(peer: string, topic: string): Promise<void> {
    await waitFor(async () => (await this.program.call<string[]>('listeners', { topic })).includes(peer), {
      what: `${peer} listening to ${topic}`,
      timeoutMs: 60_000,
      everyMs: 50,
    });
  }

  stop(): Promise<void> {
    return this.program.stop();
  }
}

export class EarlyNetwork {
  /** Where the file is. */
  readonly directory: string;
  /** Peer IDs by what this server makes of the keys. */
  readonly ids: Readonly<Record<NodeName, string>>;
  readonly #context: Pick<TestContext, 'after'> & CleansUp;
  readonly #program: string;

  private constructor(context: TestContext, directory: string, ids: Record<NodeName, string>) {
    this.#context = context;
    this.directory = directory;
    this.ids = ids;
    this.#program = join(directory, 'early');
  }

  /** The file, and, unless `bootstrap` says where there is none, the bootstrap server. */
  static async start(
    context: TestContext,
    { bootstrap }: { bootstrap?: string } = {},
  ): Promise<EarlyNetwork> {
    const directory = temporaryDirectory(context);
    const program = join(directory, 'early');
    // The library looks for the file above the program first.
    copyFileSync(EARLY, program);
    const options = { program, cwd: directory };
    const address =
      bootstrap ??
      (
        await new Neighbour(context, 'bootstrap', options).call<GoNodeAddress>('start', {
          sharedKey: SHARED_KEY,
          dhtProtocolId: '/teranode',
        })
      ).address;
    const ids = {} as Record<NodeName, string>;
    const keys: string[] = [];
    for (const name of NAMES) {
      // The first 64 bytes: the third half was not there yet.
      const key = (await generateKeyHex()).slice(0, 128);
      ids[name] = (await parseKeyHex(key)).publicKey.toString();
      keys.push(
        `p2p_peer_id.docker.${name}     = ${ids[name]}`,
        `p2p_private_key.docker.${name} = ${key}`,
        `clientName.docker.${name}      = ${name}`,
      );
    }
    // In early 2025 this file was empty, and the other had everything.
    writeFileSync(join(directory, 'settings.conf'), '');
    writeFileSync(join(directory, 'settings_local.conf'), settingsFile(address, keys));
    return new EarlyNetwork(context, directory, ids);
  }

  /** The program, told no more than its context. */
  #neighbour(name: NodeName | 'dev', env: Readonly<Record<string, string>> = {}): Neighbour {
    return new Neighbour(this.#context, 'node', {
      program: this.#program,
      cwd: this.directory,
      env: { SETTINGS_CONTEXT: name === 'dev' ? 'dev' : `docker.${name}`, ...env },
    });
  }

  /** What the node of that name reads. */
  read(name: NodeName): Promise<EarlySettings> {
    return this.#neighbour(name).call('settings');
  }

  /** The peer ID of that name's key as Go has it. */
  identity(name: NodeName): Promise<string> {
    return this.#neighbour(name).call('identity');
  }

  /** The file of the key that the node makes where the settings have none, and its peer ID. */
  async keyFile(name: NodeName): Promise<{ readonly id: string; readonly path: string }> {
    const id = await this.#neighbour(name, { p2p_private_key: '' }).call<string>('identity');
    return { id, path: join(this.directory, `peer.docker.${name}.p2p.private_key`) };
  }

  /** A node that runs; `older` spells as until 20 February 2025, `env` is before the file. */
  async node(
    name: NodeName,
    {
      older = false,
      best,
      env = {},
    }: { older?: boolean; best?: EarlyTip; env?: Record<string, string> } = {},
  ): Promise<EarlyNode> {
    const program = this.#neighbour(name, env);
    if (best !== undefined) await program.call('best', best);
    return EarlyNode.start(program, { older });
  }

  /** What this server makes of the file, in the place of the node of that name; beyond the file only what tests of every server set. */
  settings(name: NodeName, sets: readonly string[] = []): Settings {
    return loadSettings({
      sets: [
        'p2p_generation=first',
        `DATADIR=${temporaryDirectory(this.#context)}`,
        'p2p_heartbeat_interval=200ms',
        'p2p_checkers=2',
        `p2p_websocket_transport=${SHARES_PORT}`,
        ...[
          'p2p_grpcListenAddress',
          'p2p_httpListenAddress',
          'health_check_httpListenAddress',
          'profilerAddr',
        ].map((key) => `${key}=127.0.0.1:0`),
        ...sets,
      ],
      env: { SETTINGS_CONTEXT: `docker.${name}` },
      cwd: this.directory,
      programDirectory: this.directory,
    }).settings;
  }
}

/** The topic of a kind, as the settings have it. */
export function topicIn(settings: Settings, kind: string): string {
  return gossipTopic(settings, kindNamed(kind));
}

/** The keys of the P2P service in the files of early 2025, with that time's values where they are no addresses or secrets. */
function settingsFile(bootstrap: string, keys: readonly string[]): string {
  return `
clientName = Not specified

# @group: ports
ASSET_HTTP_PORT = 8090
P2P_PORT        = 0
# @endgroup

asset_apiPrefix          = /api/v1
asset_httpAddress        = http://localhost:\${ASSET_HTTP_PORT}\${asset_apiPrefix}
asset_httpAddress.docker = https://\${clientName}:\${ASSET_HTTP_PORT}\${asset_apiPrefix}

network        = mainnet
network.docker = regtest

p2p_bestblock_topic    = bestblock
p2p_block_topic        = block
p2p_bootstrapAddresses = ${bootstrap}
p2p_dht_protocol_id    = /teranode

p2p_dht_use_private        = false
p2p_dht_use_private.docker = true

p2p_ip        = 0.0.0.0
p2p_ip.docker = 127.0.0.1
p2p_ip.dev    = 127.0.0.1

p2p_mining_on_topic = miningon
# dev env runs in same process so must have different port
p2p_optimise_retries = false

p2p_port          = \${P2P_PORT}
p2p_port_coinbase = \${P2P_PORT}

p2p_rejected_tx_topic = rejected_tx
p2p_shared_key        = ${SHARED_KEY}

# optional: nodes find one another by the bootstrap addresses regardless
p2p_static_peers =

p2p_subtree_topic        = subtree
p2p_topic_prefix         = github.com/bitcoin-sv/teranode
p2p_topic_prefix.docker  = regtest.github.com/bitcoin-sv/teranode

securityLevelHTTP = 0
${keys.join('\n')}
`;
}
