/** Subtrees through a server in a process of its own: one peer sends them at a pace, another hears them through that server alone. */

import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { unwrap } from '../../src/shared/messages/framing.js';
import { subtree } from '../../src/shared/messages/index.js';
import type { RunFile } from '../../src/shared/process/run-file.js';
import { hashOf, subtreeData, topicOf } from './gossip.js';
import type { KafkaCluster } from './kafka/index.js';
import { kindNamed } from './kinds.js';
import { createPeer, type Peer } from './peer.js';
import { settingsOf } from './settings.js';
import { waitFor } from './wait.js';

const SUBTREE = kindNamed('subtree');
if (SUBTREE === undefined) throw new Error('no subtrees');
const TOPIC = topicOf({ settings: settingsOf({ network: 'regtest' }) }, SUBTREE);
const TICK_MS = 20;
const JOIN_MS = 30_000;

/** Connects `peer` to a server of `topics` that has taken the place of one that died. */
export async function dialAgain(
  peer: Peer,
  { ports, peerId }: Pick<RunFile, 'peerId'> & { readonly ports: Pick<RunFile['ports'], 'p2p'> },
  topics: readonly string[],
): Promise<void> {
  // Else the dial finds the connection to the one that has just died.
  await waitFor(() => peer.libp2p.getConnections().length === 0, {
    what: 'the end of old connections',
    timeoutMs: JOIN_MS,
  });
  await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
  for (const topic of topics) await peer.sees(peerId, topic);
}

export class SubtreeTraffic {
  readonly #sender: Peer;
  readonly #observer: Peer;
  /** Base58; undefined while there is no server. */
  #server: string | undefined;
  #sent = 0;

  private constructor(sender: Peer, observer: Peer) {
    this.#sender = sender;
    this.#observer = observer;
  }

  static async create(context: Pick<TestContext, 'after'>): Promise<SubtreeTraffic> {
    const options = { context, topics: [TOPIC] };
    return new SubtreeTraffic(await createPeer(options), await createPeer(options));
  }

  /** Subtrees sent: those numbered below it. Not all of them need have arrived. */
  get sent(): number {
    return this.#sent;
  }

  /** Hashes of what the server passed on. */
  get passedOn(): Set<string> {
    return new Set(this.#observer.heard.map(({ data }) => unwrap(data, subtree).message.hash));
  }

  /** Both peers join a server, the observer its mesh. */
  async join({ ports, peerId }: RunFile): Promise<void> {
    for (const peer of [this.#sender, this.#observer]) {
      await dialAgain(peer, { ports, peerId }, [TOPIC]);
    }
    const pubsub = this.#observer.libp2p.services.pubsub as unknown as {
      getMeshPeers(topic: string): string[];
    };
    await waitFor(() => pubsub.getMeshPeers(TOPIC).includes(peerId), {
      what: 'a place in the mesh',
      timeoutMs: JOIN_MS,
    });
    this.#server = peerId;
  }

  /** Sends subtrees at `perSecond` until the promise that it gives is called for, which resolves when the last is on its way. */
  start(perSecond: number): () => Promise<void> {
    let sending = true;
    const running = (async () => {
      const from = performance.now();
      for (let count = 0; sending; ) {
        const due = Math.floor(((performance.now() - from) / 1000) * perSecond) - count;
        // What a loaded machine is behind with comes in bursts that no budget cuts.
        const some = Math.min(due, perSecond);
        if (some > 0) await this.send(some);
        count += Math.max(0, some);
        await delay(TICK_MS);
      }
    })();
    return async () => {
      sending = false;
      await running;
    };
  }

  /** Sends `count` more. Those that no server is there for are neither sent nor counted. */
  async send(count: number): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    const { id } = this.#sender;
    const messages = await Promise.all(
      Array.from({ length: count }, (_, n) => this.#sender.sign(TOPIC, subtreeData(id, this.#sent + n))),
    );
    try {
      this.#sender.send(server, messages);
      await this.#sender.drained(server);
    } catch {
      // It died this moment.
    }
    this.#sent += count;
  }
}

/** The hash of every subtree that was sent, in order. */
export const hashesUpTo = (count: number): string[] => Array.from({ length: count }, (_, n) => hashOf(n));

/** The keys of all records in a topic, in order, read by Kafka's console consumer. At least `count` are waited for. */
export async function keysIn(kafka: KafkaCluster, topic: string, count: number): Promise<string[]> {
  const args = ['--formatter-property', 'print.key=true', '--formatter-property', 'print.value=false'];
  await waitFor(async () => (await kafka.count(topic).catch(() => 0)) >= count, {
    what: `${count} records`,
    timeoutMs: 30_000,
    everyMs: 200,
  });
  const lines = await kafka.consoleConsumer({ topic, args });
  const keys = lines.map((line) => line.trim()).filter((line) => /^[0-9a-f]{64}$/.test(line));
  if (keys.length !== lines.length || keys.length < count)
    throw new Error(`${keys.length} of ${lines.length} lines are keys; ${count} were to come`);
  return keys;
}

/** Readiness as an operator asks for it: the status, and what is wrong. */
export async function readiness({ ports }: RunFile): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${ports.health}/health/readiness`);
  return { status: response.status, text: await response.text() };
}

export async function scrapeOf({ ports }: RunFile): Promise<string> {
  return (await fetch(`http://127.0.0.1:${ports.metrics}/metrics`)).text();
}
