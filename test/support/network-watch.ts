/** A development network, and everything that its nodes send of their feeds, held to the documents that each of them serves. */

import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { readRunFile } from '../../src/shared/process/run-file.js';
import { type DevelopmentNetwork, launchNetwork } from './development-network.js';
import { FeedWatch } from './feed-watch.js';
import { framesSeen, ledgerLines } from './frame-ledger.js';
import { leaveHistory } from './sample-history.js';
import { waitFor } from './wait.js';

const NODES = ['node1', 'node2', 'node3'];

const ENVIRONMENT = {
  // Segments of 1 MiB, so that some are sealed, and the oldest go.
  p2p_feed_retention_bytes: String(8 * 1_048_576),
  p2p_websocket_trusted_source_cidrs: '127.0.0.0/8',
};

export class NetworkWatch {
  private constructor(
    private readonly network: DevelopmentNetwork,
    private readonly watches: readonly FeedWatch[],
  ) {}

  /** Starts the network at the pace that `args` say, each node with a history that an earlier run left. All ends with the test. */
  static async start(context: Pick<TestContext, 'after'>, args: readonly string[]): Promise<NetworkWatch> {
    const network = await launchNetwork(context, args, {
      env: ENVIRONMENT,
      prepare: (data) => {
        for (const name of NODES) leaveHistory(join(data, name, 'journal'));
      },
    });
    const running = async (name: string) => {
      const { ports, peerId } = await waitFor(() => readRunFile(join(network.data, name)), {
        what: `${name} to listen`,
        timeoutMs: 120_000,
      });
      return { name, http: ports.http, peerId };
    };
    try {
      const nodes = await Promise.all(NODES.map(running));
      const miner = nodes[0]?.peerId ?? '';
      const watches = await Promise.all(nodes.map((node) => FeedWatch.open(context, node, miner)));
      await waitFor(() => watches.every(({ newest }) => newest !== ''), {
        what: 'the first frame of each node',
        timeoutMs: 60_000,
      });
      return new NetworkWatch(network, watches);
    } catch (error) {
      throw new Error(`${error}\n${network.output}`, { cause: error });
    }
  }

  /** What is wrong, with the frame; the first few of each node. */
  get faults(): readonly string[] {
    return this.watches.flatMap(({ ledger }) => ledger.faults);
  }

  get frames(): number {
    return framesSeen(this.watches.map(({ ledger }) => ledger));
  }

  /** How many frames of which kind came in which form, all nodes together. */
  lines(): string[] {
    return ledgerLines(this.watches.map(({ ledger }) => ledger));
  }

  /** What has not come yet from some node; see {@link FeedWatch.missing}. */
  missing(options?: { readonly sealed?: boolean; readonly passed?: boolean }): string[] {
    return [...new Set(this.watches.flatMap((watch) => watch.missing(options)))];
  }

  /** Looks into all that does not come of itself, every `everyMs`, until `isOver` or something is wrong. Rejects with what the network said where it does not answer. */
  async follow(isOver: () => boolean, everyMs: number): Promise<void> {
    const ends = (): boolean => isOver() || this.faults.length > 0;
    try {
      while (!ends()) {
        const next = performance.now() + everyMs;
        for (const [index, watch] of this.watches.entries()) {
          const other = this.watches[(index + 1) % this.watches.length];
          await watch.round(other?.newest ?? '');
        }
        await waitFor(() => ends() || performance.now() >= next, {
          what: 'the next round',
          timeoutMs: 2 * everyMs,
          everyMs: Math.min(everyMs, 250),
        });
      }
    } catch (error) {
      throw new Error(`${error}\n${this.network.output.slice(-4000)}`, { cause: error });
    }
  }
}
