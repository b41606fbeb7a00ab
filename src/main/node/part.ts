/** The libp2p node, and what it is tied to. */

import type { PrivateKey } from '@libp2p/interface';
import type { ClassicLevel } from 'classic-level';
import { LevelDatastore } from 'datastore-level';
import type { PartContext } from '../../shared/lifecycle/context.js';
import type { Part } from '../../shared/lifecycle/part.js';
import type { MessageKind } from '../../shared/messages/kind.js';
import { descriptorHealth } from '../health/descriptors.js';
import type { Connections } from './connections/index.js';
import { Libp2pNode } from './index.js';
import type { BanPolicy, MessageChecks } from './types.js';

export interface NodeNeighbours {
  /** Open for as long as the part lives. */
  readonly store: ClassicLevel<string, Uint8Array>;
  /** Filled by the node. */
  readonly connections: Connections;
  readonly bans: BanPolicy;
  readonly checks: MessageChecks;
}

export interface NodePartOptions {
  readonly privateKey: PrivateKey;
  readonly kinds: readonly MessageKind[];
}

export function createNode(
  { settings, loggers, registry }: PartContext,
  { store, connections, bans, checks }: NodeNeighbours,
  { privateKey, kinds }: NodePartOptions,
): { readonly node: Libp2pNode; readonly part: Part } {
  const datastore = new LevelDatastore(
    store.sublevel('libp2p', { keyEncoding: 'utf8', valueEncoding: 'view' }) as never,
  );
  const node = new Libp2pNode({
    settings,
    logger: loggers.of('node'),
    privateKey,
    datastore,
    registry,
    bans,
    connections,
    checks,
    kinds,
  });
  return {
    node,
    part: {
      name: 'libp2p',
      start: async (signal) => {
        await datastore.open();
        await node.start(signal);
      },
      stop: async () => {
        await node.stop();
        await datastore.close();
      },
      health: [
        { resource: 'open files', check: async () => descriptorHealth() },
        { resource: 'libp2p', check: () => node.health() },
      ],
      ports: () => ({ p2p: node.port }),
    },
  };
}
