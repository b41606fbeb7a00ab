/** What the terminal shows of the development network. */

import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { wall } from '../../shared/clock.js';
import type { DevnetNode } from '../devnet/layout.js';
import { type Sighting, Sightings } from '../devnet/sightings.js';
import { ownFeed } from './feed.js';
import { field, heightLabel, kindLabel, parseFrame, shownOf } from './frame-line.js';
import { printable, short, type Terminal } from './terminal.js';

const WARN = 40;
/** Compiled, this file is in dist/src/main/cli. */
const BIN = fileURLToPath(new URL('../../../../bin/teranode-p2p.mjs', import.meta.url));
/** Before what is told in a line: time and name. */
const HANG = '12:00:00 node1  '.length;
/** Where the command line looks for a server unless told. */
const GRPC_PORT = 9904;

export class DevnetView {
  readonly #terminal: Terminal;
  readonly #nodes: readonly DevnetNode[];
  readonly #json: boolean;
  readonly #names: ReadonlyMap<string, string>;
  readonly #ending = new AbortController();
  readonly #sightings: Sightings;
  #started = false;

  constructor(terminal: Terminal, nodes: readonly DevnetNode[], json: boolean) {
    this.#terminal = terminal;
    this.#nodes = nodes;
    this.#json = json;
    this.#names = new Map(nodes.map(({ peerId, name }) => [peerId, name]));
    this.#sightings = new Sightings({ expected: nodes.length, onEvent: (event) => this.#show(event) });
    if (!json) terminal.line(`Starting ${nodes.length} nodes …`);
  }

  /** The nodes serve: the table, then their feeds. */
  start(): void {
    this.#started = true;
    if (this.#json || this.#ending.signal.aborted) return;
    this.#terminal.line();
    this.#terminal.table(
      ['NODE', 'PAGE AND FEED', 'LIBP2P', 'GRPC', 'HEALTH', 'METRICS', 'PEER ID'],
      this.#nodes.map(({ name, ports, peerId }) => [
        name,
        `http://localhost:${ports.p2p_httpListenAddress}/`,
        `:${ports.p2p_port}`,
        `:${ports.p2p_grpcListenAddress}`,
        `:${ports.health_check_httpListenAddress}`,
        `:${ports.profilerAddr}`,
        short(peerId),
      ]),
    );
    this.#terminal.line('\nThe first node mines. Ctrl-C ends the network.');
    const [first] = this.#nodes;
    if (first !== undefined) {
      this.#terminal.line(`To command ${first.name}: npx . peers ${settingsToReach(first)}`);
      this.#terminal.line(`In place of npx . and faster: node ${near(BIN)}`);
    }
    this.#terminal.line();
    for (const node of this.#nodes) void this.#follow(node);
  }

  /** A line of a node's log: all of them with `--json`, else warnings and worse. */
  log(node: DevnetNode, line: string): void {
    if (this.#json) {
      this.#terminal.raw(line);
      return;
    }
    const entry = parseFrame(line);
    if (entry === undefined) {
      if (line.trim() !== '') this.error(node, line);
      return;
    }
    const level = typeof entry.level === 'number' ? entry.level : 0;
    // Until all serve, they miss each other: no news.
    if (level < WARN || (level === WARN && !this.#started)) return;
    const detail = entry.err as { message?: unknown } | undefined;
    const text = [field(entry, 'msg'), field(entry, 'error') || String(detail?.message ?? '')]
      .filter((part) => part !== '')
      .join(': ');
    this.#line(node.name, this.#terminal.style(level > WARN ? 'red' : 'yellow', printable(text)));
  }

  error(node: DevnetNode, line: string): void {
    if (this.#json) this.#terminal.note(line);
    else this.#line(node.name, this.#terminal.style('red', printable(line)));
  }

  stop(failure: string | undefined): void {
    this.#ending.abort();
    this.#sightings.stop();
    if (failure !== undefined) this.#terminal.note(`error: ${failure}`);
    if (!this.#json) this.#terminal.line('\nStopping …');
  }

  ended(clean: readonly boolean[]): void {
    this.#nodes.forEach(({ name }, index) => {
      if (!clean[index]) this.#terminal.note(`${name} did not end by itself`);
    });
    if (!this.#json) this.#terminal.line('Stopped.');
  }

  async #follow(node: DevnetNode): Promise<void> {
    const url = `ws://127.0.0.1:${node.ports.p2p_httpListenAddress}/p2p-ws`;
    for await (const frame of ownFeed(url, { signal: this.#ending.signal })) {
      // What has no hash is no news of the chain: PING, and what a node says of itself.
      const hash = field(frame, 'hash');
      if (hash === '') continue;
      const peer = field(frame, 'peer_id');
      const kind = field(frame, 'type');
      const { text: remark } = shownOf(kind);
      this.#sightings.add(node.name, {
        kind,
        hash,
        origin: this.#names.get(peer) ?? peer,
        height: field(frame, 'height'),
        remark: remark === undefined ? '' : field(frame, remark),
      });
    }
  }

  #show(sighting: Sighting): void {
    this.#line(short(sighting.origin, 6, 4), sightingText(sighting, this.#terminal));
  }

  #line(name: string, text: string): void {
    const time = this.#terminal.style('dim', new Date(wall.shown()).toTimeString().slice(0, 8));
    this.#terminal.line(`${time} ${name.padEnd(6)} ${text}`, HANG);
  }
}

/** From here, where it is below. */
function near(path: string): string {
  const from = relative('', path);
  return from.startsWith('..') ? path : from;
}

/** `--set` of what another command must be told to find the node from here. */
function settingsToReach({ directory, ports }: DevnetNode): string {
  const path = near(directory);
  const grpc = ports.p2p_grpcListenAddress;
  return [
    `DATADIR=${/^[\w./-]+$/.test(path) ? path : JSON.stringify(path)}`,
    ...(grpc === GRPC_PORT ? [] : [`p2p_grpcAddress=localhost:${grpc}`]),
  ]
    .map((setting) => `--set ${setting}`)
    .join(' ');
}

/** What happened, the remark whole: what the window has no room for goes on in the next line. */
export function sightingText(
  { kind, hash, origin, height, remark, heard }: Sighting,
  terminal: Terminal,
): string {
  const others = heard.filter(({ node }) => node !== origin).map(({ node, ms }) => `${node} +${ms}`);
  const seen = others.length === 0 ? 'heard by nobody yet' : `${others.join('  ')} ms`;
  const which = `${short(hash, 6, 4).padEnd(11)} ${heightLabel(height).padEnd(6)}`;
  return `${kindLabel(kind, terminal)} ${which} ${seen}${remark && ` (${remark})`}`;
}
