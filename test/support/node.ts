/** A libp2p node of this server, on loopback, in a directory of its own. */

import '../../src/shared/process/polyfill.js';

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { generateKeyPair } from '@libp2p/crypto/keys';
import type { PrivateKey } from '@libp2p/interface';
import { LevelDatastore } from 'datastore-level';
import { Registry } from 'prom-client';
import type { Libp2pNode, NodeOptions } from '../../src/main/node/index.js';
import type { BanPolicy, MessageChecks, ReceivedMessage } from '../../src/main/node/types.js';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import { signatureHolds } from '../../src/shared/pipeline/signature-check.js';
import type { Generation } from '../../src/shared/settings/table.js';
import { kindNamed } from './kinds.js';
import { keptLog } from './logger.js';
import { type SettingChanges, settingsOf } from './settings.js';
import { shipped } from './shipped.js';
import { temporaryDirectory } from './temporary.js';

const Shipped = await shipped<typeof import('../../src/main/node/index.js')>('main/node/index.js');

export const BLOCK = kindNamed('block').id;
export const BLOCK_TOPIC = 'teranode/bitcoin/1.0.0/regtest-block';
export const SHARED_KEY = '5a'.repeat(32);

export interface TestNodeOptions extends NodeOptions {
  readonly generation?: Generation;
  readonly settings?: SettingChanges;
  readonly bans?: Partial<BanPolicy>;
  /** Unless given, signatures are verified and what holds is heard, unchecked. */
  readonly checks?: MessageChecks;
  /** A new one unless given. */
  readonly privateKey?: PrivateKey;
  /** What to answer for each message; nothing unless given. */
  readonly verdict?: 'accept' | 'ignore' | 'reject';
  /** False: not started. */
  readonly start?: boolean;
}

export interface TestNode {
  readonly node: Libp2pNode;
  readonly registry: Registry;
  readonly lines: Record<string, unknown>[];
  readonly heard: ReceivedMessage[];
  readonly address: string;
  /** Sum of a metric's values whose labels include these. */
  metric(name: string, labels?: Record<string, string>): Promise<number>;
}

/** Verifies as a checker does, in this thread and at once. */
export const VERIFYING: MessageChecks = {
  check: ({ signed }) => ({
    judgement: Promise.resolve({ signature: signatureHolds(signed) ? 'holds' : 'forged', where: 'main' }),
    copyFrom: () => {},
  }),
};

/** Starts a node; it and its store are gone when the test ends. */
export async function createTestNode(context: TestContext, options: TestNodeOptions = {}): Promise<TestNode> {
  const {
    generation = 'current',
    bans,
    checks = VERIFYING,
    verdict,
    start = true,
    privateKey,
    ...nodeOptions
  } = options;
  const directory = temporaryDirectory(context);
  const settings = settingsOf(
    {
      DATADIR: directory,
      network: 'regtest',
      p2p_port: 0,
      p2p_listen_addresses: ['127.0.0.1'],
      p2p_ip: '127.0.0.1',
      p2p_allow_private_ips: true,
      p2p_bootstrap_peers: [],
      p2p_heartbeat_interval: 100,
      ...(generation === 'first' ? { p2p_shared_key: SHARED_KEY } : {}),
      ...options.settings,
    },
    generation,
  );
  const registry = new Registry();
  const { logger, lines } = keptLog();
  const datastore = new LevelDatastore(join(directory, 'peers'));
  await datastore.open();
  const node = new Shipped.Libp2pNode(
    {
      settings,
      connections: new Shipped.Connections({ settings }),
      logger,
      privateKey: privateKey ?? (await generateKeyPair('Ed25519')),
      datastore,
      registry,
      bans: {
        isAddressBanned: () => false,
        isPeerBanned: () => false,
        applicationScore: () => 0,
        ...bans,
      },
      checks,
      kinds: MESSAGE_KINDS,
    },
    nodeOptions,
  );
  context.after(async () => {
    await node.stop();
    await datastore.close();
  });
  const heard: ReceivedMessage[] = [];
  node.on('received', (message) => {
    heard.push(message);
    if (verdict !== undefined) node.report(message.id, verdict);
  });
  if (start) await node.start();
  return {
    node,
    registry,
    lines,
    heard,
    get address() {
      const [first] = node.addresses();
      if (first === undefined) throw new Error('the node does not listen');
      return first;
    },
    async metric(name, labels = {}) {
      const metric = await registry.getSingleMetric(name)?.get();
      if (metric === undefined) throw new Error(`no metric ${name}`);
      const wanted = Object.entries(labels);
      return metric.values
        .filter((value) => wanted.every(([label, text]) => value.labels[label] === text))
        .reduce((sum, { value }) => sum + value, 0);
    },
  };
}
