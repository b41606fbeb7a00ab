/** Readers beside gateways, of which one after the other is killed: who was cut goes on at another. */

import { type ChildProcess, fork } from 'node:child_process';
import type { TestContext } from 'node:test';
import type { Settings } from '../../../src/shared/settings/table.js';
import type { FiledJournal } from '../deaths/journal-files.js';
import type { Audience, AudienceOptions, Served } from '../deaths/run.js';
import { gatewaySettings } from '../gateway.js';
import { type FeedReaders, ReaderCrowd } from './readers.js';
import { TopicHistory } from './topic-history.js';

const PROGRAM = new URL('../programs/mortal-gateway.js', import.meta.url);
const GATEWAYS = 2;
/** Of a step. */
const DEATHS = 0.04;

export interface GatewaysOptions {
  /** `kafka_notificationsConfig`. */
  readonly topicUrl: string;
  /** Of the embedded broker that has the topic; undefined where Kafka has it. */
  readonly socketPath?: string;
  readonly transport: Settings['p2p_websocket_transport'];
  /** How many of them. */
  readonly readers: number;
  /** Values of all records of the topic. */
  readonly records: () => Promise<readonly Uint8Array[]>;
}

/** One that is started again whenever it dies, on the same directory. */
class MortalGateway {
  readonly #settings: Settings;
  readonly #socketPath: string;
  #child: ChildProcess | undefined;
  #port: number | undefined;
  #over = false;
  deaths = 0;

  constructor(
    context: Pick<TestContext, 'after'>,
    { socketPath = '', topicUrl, transport }: GatewaysOptions,
  ) {
    this.#socketPath = socketPath;
    this.#settings = gatewaySettings(context, {
      logLevel: 'error',
      kafka_notificationsConfig: topicUrl,
      p2p_websocket_transport: transport,
      p2p_websocket_text_ping: true,
    });
    context.after(() => {
      this.#over = true;
      this.#child?.kill('SIGKILL');
    });
    this.#start();
  }

  /** Undefined while it does not serve. */
  get port(): number | undefined {
    return this.#port;
  }

  kill(): void {
    this.deaths++;
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    const child = fork(PROGRAM, [JSON.stringify(this.#settings), this.#socketPath], {
      env: { ...process.env, NODE_TEST_CONTEXT: '' },
    });
    this.#child = child;
    child.on('message', (port) => {
      this.#port = Number(port);
    });
    child.on('exit', () => {
      this.#port = undefined;
      if (!this.#over) this.#start();
    });
  }
}

/** A node's readers, and those of gateways that show the same. */
export class BesideGateways implements Audience {
  readonly #node: FeedReaders;
  readonly #gateways: readonly MortalGateway[];
  readonly #crowd: ReaderCrowd;
  readonly #random: () => number;
  readonly #records: () => Promise<readonly Uint8Array[]>;
  #turn = 0;

  constructor(
    context: Pick<TestContext, 'after'>,
    { random, authors }: AudienceOptions,
    { node, ...options }: GatewaysOptions & { readonly node: FeedReaders },
  ) {
    this.#node = node;
    this.#random = random;
    this.#records = options.records;
    this.#gateways = Array.from({ length: GATEWAYS }, () => new MortalGateway(context, options));
    this.#crowd = new ReaderCrowd(
      context,
      { random, authors, where: () => this.#where() },
      { count: options.readers },
    );
  }

  /** One after the other, of those that serve. */
  #where(): Served | undefined {
    const ports = this.#gateways.flatMap(({ port }) => port ?? []);
    const port = ports[this.#turn++ % Math.max(1, ports.length)];
    return port === undefined ? undefined : { life: 0, port };
  }

  get pristine(): ReadonlyMap<string, Buffer> {
    return this.#node.pristine;
  }

  get connected(): boolean {
    return this.#node.connected;
  }

  get parted(): boolean {
    return this.#node.parted;
  }

  get connections(): number {
    return this.#node.connections + this.#crowd.connections;
  }

  act(): void {
    this.#node.act();
    this.#crowd.act();
    for (const gateway of this.#gateways) if (this.#random() < DEATHS) gateway.kill();
  }

  calm(): void {
    this.#node.calm();
    this.#crowd.calm();
  }

  beforeStall(): void {
    this.#node.beforeStall();
  }

  readyToStall(words: readonly string[]): boolean {
    return this.#node.readyToStall(words);
  }

  stall(): number {
    return this.#node.stall();
  }

  goOn(): void {
    this.#node.goOn();
  }

  haveHad(words: readonly string[]): boolean {
    return this.#node.haveHad(words) && this.#crowd.haveHad(words);
  }

  rest(words: readonly string[]): void {
    this.#node.rest(words);
    this.#crowd.rest(words);
  }

  judge(journal: FiledJournal): void {
    this.#node.judge(journal);
  }

  /** Nothing more comes: what gateways showed is all that the node's journal had, in its order. */
  async finish(): Promise<void> {
    const history = new TopicHistory(await this.#records());
    const { shown } = this.#node.history;
    const at = shown.findIndex(({ text }, index) => history.shown[index]?.text !== text);
    if (at !== -1 || history.shown.length !== shown.length)
      throw new Error(`the topic has ${history.shown[at]?.text} where the journal has ${shown[at]?.text}`);
    this.#crowd.judge(history);
  }

  harm(directory: string, life: number): string {
    return this.#node.harm(directory, life);
  }

  shown(words?: readonly string[]): readonly string[] {
    return [...this.#node.shown(words), 'at gateways:', ...this.#crowd.shown(words)];
  }

  sum(): string {
    const deaths = this.#gateways.reduce((sum, one) => sum + one.deaths, 0);
    return `${this.#node.sum()}; at gateways, which died ${deaths} times: ${this.#crowd.sum()}`;
  }
}
