/** The processes of a gossip benchmark, as the one that runs it sees them. */

import { type ChildProcess, fork, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SettingChanges } from '../../test/support/settings.js';
import { once } from '../child.js';
import { gossipTopic, REFERENCE } from '../reference/subjects.js';
import type { CrowdOrder, CrowdReport } from './crowd.js';
import type { SenderOrder, SenderReport } from './sender.js';
import type { Lateness, Snapshot, TargetOrder, TargetReport } from './target.js';
import { inEveryThread } from './threads.js';
import type { TrafficOptions } from './traffic.js';

/** Messages that may be on their way: far more than this server ever has pending, and what bounds the plain peer's memory. */
export const WINDOW = 10_000;
/** The key of the author, and of relays the first. */
const AUTHOR = 1;
const FIRST_RELAY = 2;

/** `go`: go-libp2p-pubsub with an empty handler, which must have been built. */
export type TargetKind = 'server' | 'plain' | 'go';
export type Sent = SenderReport & { type: 'sent' };

export interface TargetOptions {
  readonly changes?: SettingChanges;
}

export interface SendOptions {
  readonly rate?: number;
  readonly from?: number;
  /** Messages beyond what {@link Senders.processed} told. */
  readonly window?: number;
}

export class Target {
  readonly ready: TargetReport & { type: 'ready' };
  readonly #child: ChildProcess;
  readonly #folder: string;

  private constructor(child: ChildProcess, folder: string, ready: TargetReport & { type: 'ready' }) {
    this.#child = child;
    this.#folder = folder;
    this.ready = ready;
  }

  /** `changes` of the settings of a server. */
  static async start(kind: TargetKind, { changes = {} }: TargetOptions = {}): Promise<Target> {
    const folder = mkdtempSync(join(tmpdir(), 'teranode-p2p-threads-'));
    const child =
      kind === 'go'
        ? spawn(REFERENCE, ['-subscriber', '-subtree-topic', gossipTopic('subtree')], {
            stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
          })
        : fork(new URL('./target.js', import.meta.url), [kind, JSON.stringify(changes)], {
            // The server as it is shipped, not as the compiler left it.
            env: { ...process.env, ...inEveryThread(folder), TEST_BUNDLE: '1' },
          });
    return new Target(child, folder, await once<TargetReport & { type: 'ready' }>(child, 'ready'));
  }

  /** Calls `onProcessed` every 25 ms with the number of messages that are through. */
  watch(onProcessed: (count: number) => void): void {
    this.#child.on('message', (message: TargetReport) => {
      if (message.type === 'processed') onProcessed(message.count);
    });
    this.#order({ type: 'watch' });
  }

  async snapshot(): Promise<Snapshot> {
    const answer = once<TargetReport & { type: 'snapshot' }>(this.#child, 'snapshot');
    this.#order({ type: 'snapshot' });
    return answer;
  }

  /** Looks every 10 ms at how late its main thread is. */
  look(): void {
    this.#order({ type: 'look' });
  }

  /** How late it was since {@link look}, or since this was asked before. */
  async late(): Promise<Lateness> {
    const answer = once<TargetReport & { type: 'late' }>(this.#child, 'late');
    this.#order({ type: 'late' });
    return answer;
  }

  /** The system's ids of its threads of a role, as `threads.ts` has them; Linux alone has them. */
  threads(role: string): number[] {
    return readdirSync(this.#folder)
      .filter((thread) => readFileSync(join(this.#folder, thread), 'utf8') === role)
      .map(Number);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const exited = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#order({ type: 'stop' });
      await exited;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #order(order: TargetOrder): void {
    this.#child.send(order, () => {});
  }
}

/** One publisher, or relays that all send what one author signed; each in its own process. */
export class Senders {
  readonly #children: readonly ChildProcess[];

  private constructor(children: readonly ChildProcess[]) {
    this.#children = children;
  }

  /** Starts `relays` processes (0: the author sends) and has each sign the traffic. */
  static async prepare(
    topic: string,
    traffic: TrafficOptions,
    {
      relays = 0,
      authors = [AUTHOR],
    }: { readonly relays?: number; readonly authors?: readonly number[] } = {},
  ): Promise<Senders> {
    const children = Array.from({ length: Math.max(1, relays) }, () =>
      // What the processes of a test gather of coverage would be the senders' cost too.
      fork(new URL('./sender.js', import.meta.url), { env: { ...process.env, NODE_V8_COVERAGE: '' } }),
    );
    const senders = new Senders(children);
    await Promise.all(
      children.map((child, index) => {
        const signed = once<SenderReport>(child, 'signed');
        const self = relays === 0 ? (authors[0] ?? AUTHOR) : FIRST_RELAY + index;
        senders.#order(child, { type: 'sign', topic, traffic, authors, self });
        return signed;
      }),
    );
    return senders;
  }

  get pids(): number[] {
    return this.#children.map(({ pid }) => pid ?? 0);
  }

  async connect(address: string): Promise<void> {
    // One after the other: a node admits only so many new connections of one address a second.
    for (const child of this.#children) {
      const connected = once<SenderReport>(child, 'connected');
      this.#order(child, { type: 'connect', address });
      await connected;
    }
  }

  /** `rate`: messages a second each, else as fast as it goes; see the sender's order for the others. */
  send({ rate, from = 0, window = WINDOW }: SendOptions = {}): void {
    for (const child of this.#children) {
      this.#order(child, { type: 'send', window, from, ...(rate === undefined ? {} : { rate }) });
    }
  }

  processed(count: number): void {
    for (const child of this.#children) this.#order(child, { type: 'processed', count });
  }

  /** Ends the sending, every sender at the same message. */
  async stop(): Promise<readonly Sent[]> {
    const stopped = await Promise.all(
      this.#children.map((child) => {
        const answer = once<SenderReport & { type: 'stopped' }>(child, 'stopped');
        this.#order(child, { type: 'stop' });
        return answer;
      }),
    );
    const upTo = Math.max(...stopped.map(({ sent }) => sent));
    return Promise.all(
      this.#children.map((child) => {
        const answer = once<Sent>(child, 'sent');
        this.#order(child, { type: 'finish', upTo });
        return answer;
      }),
    );
  }

  async disconnect(): Promise<void> {
    await Promise.all(
      this.#children.map((child) => {
        const answer = once<SenderReport>(child, 'disconnected');
        this.#order(child, { type: 'disconnect' });
        return answer;
      }),
    );
  }

  close(): void {
    for (const child of this.#children) if (child.connected) child.disconnect();
  }

  #order(child: ChildProcess, order: SenderOrder): void {
    // One that has ended is told of by its missing answer.
    child.send(order, () => {});
  }
}

/** Silent peers of one node, in a process of their own. */
export class Crowd {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when all are connected to the node at `address`, and subscribed to `topic`. */
  static async join(address: string, topic: string, peers: number): Promise<Crowd> {
    const child = fork(new URL('./crowd.js', import.meta.url), {
      env: { ...process.env, NODE_V8_COVERAGE: '' },
    });
    const joined = once<CrowdReport>(child, 'joined');
    child.send({ type: 'join', address, topic, peers } satisfies CrowdOrder);
    await joined;
    return new Crowd(child);
  }

  /** How many are connected. */
  async count(): Promise<number> {
    const answer = once<CrowdReport & { type: 'count' }>(this.#child, 'count');
    this.#child.send({ type: 'count' } satisfies CrowdOrder);
    return (await answer).open;
  }

  async stop(): Promise<void> {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await gone;
  }
}
