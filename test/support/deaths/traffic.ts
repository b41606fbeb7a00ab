/** Announcements of several authors to a server that dies: through two peers, with repeats and forgeries between them, and one peer that hears what is passed on. */

import type { TestContext } from 'node:test';
import { unwrap } from '../../../src/shared/messages/framing.js';
import { createStranger, hashOf, numberOf, type Stranger } from '../gossip.js';
import { kindNamed } from '../kinds.js';
import { createPeer, type Peer, type RawMessage } from '../peer.js';
import { DATA_HUB, sampleData } from '../sample-messages.js';
import { dialAgain } from '../subtree-traffic.js';
import { waitFor } from '../wait.js';
import type { MortalServer, Ready } from './mortal-server.js';
import { KINDS, type Kind, type Stored, streamOf, wordOf } from './oracle.js';

const AUTHORS = 4;
/** Of what is stored already is said again after a restart, of each kind and author. */
const SAID_AGAIN = 3;
const AT_ONCE = 100;
/** Numbers of announcements that are forged: no author gets there. */
const FORGED = 1_000_000_000;

const topicOf = (kind: Kind): string => `teranode/bitcoin/1.0.0/regtest-${kind}`;
const GOSSIP_TOPICS = KINDS.map(topicOf);

class Stream {
  readonly author: string;
  /** Announced so far: those numbered below it. */
  said = 0;

  constructor(
    readonly kind: Kind,
    readonly stranger: Stranger,
    readonly relay: Peer,
    /** Bytes that its URLs are longer by. */
    readonly padding: number,
  ) {
    this.author = stranger.id;
  }

  sign(n: number): Promise<RawMessage> {
    const { kind, author } = this;
    const fields = {
      hash: hashOf(n),
      peerId: author,
      ...(this.padding === 0 ? {} : { dataHubUrl: `${DATA_HUB}/${'x'.repeat(this.padding - 1)}` }),
      ...(kind === 'block' ? { height: n, header: '' } : {}),
    };
    return this.stranger.sign(topicOf(kind), sampleData(kind, fields, 'message-bus', author));
  }
}

/** What is said next: something new of one stream, its last again, or something new with a signature that does not hold. */
export interface Word {
  readonly stream: number;
  readonly what: 'new' | 'again' | 'forged';
}

export class Traffic {
  readonly #observer: Peer;
  readonly #forger: Peer;
  readonly #streams: readonly Stream[];
  #server: string | undefined;
  /** What was stored when the present server was started, and what it was sent: how often. */
  #stored: Stored = { words: [], counts: new Map() };
  #sent = new Map<string, number>();
  /** In all. */
  readonly #passedOn = new Set<string>();
  #forgeries = 0;

  private constructor(observer: Peer, forger: Peer, streams: readonly Stream[]) {
    this.#observer = observer;
    this.#forger = forger;
    this.#streams = streams;
  }

  /** `padding`: bytes that the URLs of what is announced are longer by. */
  static async create(context: Pick<TestContext, 'after'>, padding = 0): Promise<Traffic> {
    // Nobody is dialled by a server that knows them from an earlier life: they come when the test says so.
    const options = { context, listen: false };
    const peer = (index: number) => createPeer({ ...options, localAddress: `127.0.0.${2 + index}` });
    const [near, far, forger] = await Promise.all([peer(0), peer(1), peer(2)]);
    const observer = await createPeer({ ...options, topics: GOSSIP_TOPICS, localAddress: '127.0.0.5' });
    const authors = await Promise.all(Array.from({ length: AUTHORS }, () => createStranger()));
    const streams = KINDS.flatMap((kind) =>
      authors.map((author, index) => new Stream(kind, author, index % 2 === 0 ? near : far, padding)),
    );
    return new Traffic(observer, forger, streams);
  }

  /** Base58. */
  get authors(): readonly string[] {
    return [...new Set(this.#streams.map(({ author }) => author))];
  }

  get streams(): number {
    return this.#streams.length;
  }

  /** Announcements so far, each once. */
  get said(): number {
    return this.#streams.reduce((sum, { said }) => sum + said, 0);
  }

  /** Announcements that were passed on so far. Throws where one was passed on twice, or is none that was signed. */
  passedOn(): ReadonlySet<string> {
    for (const { topic, data, author } of this.#observer.heard.splice(0)) {
      const stream = this.#streams.find((each) => topicOf(each.kind) === topic && each.author === author);
      const kind = kindNamed(stream?.kind ?? '');
      if (stream === undefined || kind === undefined) throw new Error(`${author} was heard in ${topic}`);
      const n = numberOf((unwrap(data, kind).message as { hash: string }).hash);
      const word = wordOf(stream, n);
      if (n >= stream.said) throw new Error(`${word} was passed on and never said`);
      if (this.#passedOn.has(word)) throw new Error(`${word} was passed on twice`);
      this.#passedOn.add(word);
    }
    return this.#passedOn;
  }

  /** Everybody joins a server, which has this in its journal. */
  async join(server: MortalServer, ready: Ready, stored: Stored): Promise<void> {
    this.#stored = stored;
    this.#sent = new Map();
    const { peerId, p2p } = ready;
    const relays = new Set(this.#streams.map(({ relay }) => relay));
    for (const peer of [...relays, this.#forger, this.#observer]) {
      await dialAgain(peer, { peerId, ports: { p2p } }, GOSSIP_TOPICS);
    }
    await waitFor(() => server.ask({ op: 'meshed', peer: this.#observer.id, topics: GOSSIP_TOPICS }), {
      what: 'a place in its mesh',
      everyMs: 50,
    });
    this.#server = peerId;
  }

  /** When nobody has a connection any more. */
  async parted(): Promise<void> {
    this.#server = undefined;
    await waitFor(() => this.#observer.libp2p.getConnections().length === 0, {
      what: 'the end of its connections',
    });
  }

  /** Says again what the last server may not have stored, and the last that it had, as peers do. */
  async sayAgain(): Promise<void> {
    for (const stream of this.#streams) {
      const { said } = stream;
      const stored = this.#stored.counts.get(streamOf(stream)) ?? 0;
      for (let from = Math.max(0, stored - SAID_AGAIN); from < said; from += AT_ONCE) {
        const numbers = Array.from({ length: Math.min(AT_ONCE, said - from) }, (_, index) => from + index);
        await this.#send(stream.relay, await Promise.all(numbers.map((n) => this.#sign(stream, n))));
      }
    }
  }

  async say(words: readonly Word[]): Promise<void> {
    const byRelay = new Map<Peer, Promise<RawMessage>[]>();
    const add = (relay: Peer, message: Promise<RawMessage>): void => {
      const messages = byRelay.get(relay) ?? [];
      messages.push(message);
      byRelay.set(relay, messages);
    };
    for (const { stream: index, what } of words) {
      const stream = this.#streams[index % this.#streams.length] as Stream;
      if (what === 'forged') add(this.#forger, this.#forge(stream));
      else if (what === 'again' && stream.said > 0) add(stream.relay, this.#sign(stream, stream.said - 1));
      else add(stream.relay, this.#sign(stream, stream.said++));
    }
    await Promise.all(
      [...byRelay].map(async ([relay, messages]) => this.#send(relay, await Promise.all(messages))),
    );
  }

  /** Something new of each kind and author. */
  async sayOneEach(): Promise<readonly string[]> {
    const said = this.#streams.map((stream) => wordOf(stream, stream.said));
    await this.say(this.#streams.map((_, stream) => ({ stream, what: 'new' })));
    return said;
  }

  /** What is to become of all that this server was sent: by kind, how many are new to it and how many are repeats. */
  expected(): Record<Kind, { readonly ok: number; readonly repeat: number }> {
    const of = (kind: Kind) => {
      let ok = 0;
      let repeat = 0;
      const stored = new Set(this.#stored.words);
      for (const [word, times] of this.#sent) {
        if (!word.startsWith(`${kind} `)) continue;
        const isNew = stored.has(word) ? 0 : 1;
        ok += isNew;
        repeat += times - isNew;
      }
      return { ok, repeat };
    };
    return { block: of('block'), subtree: of('subtree') };
  }

  /** Messages that this server was sent, repeats included, forgeries not. */
  get sendings(): number {
    return [...this.#sent.values()].reduce((sum, times) => sum + times, 0);
  }

  /** What this server was sent, each once. */
  get sent(): readonly string[] {
    return [...this.#sent.keys()];
  }

  #sign(stream: Stream, n: number): Promise<RawMessage> {
    const word = wordOf(stream, n);
    this.#sent.set(word, (this.#sent.get(word) ?? 0) + 1);
    return stream.sign(n);
  }

  async #forge(stream: Stream): Promise<RawMessage> {
    const message = await stream.sign(FORGED + this.#forgeries++);
    const signature = Buffer.from(message.signature ?? []);
    signature[9] = (signature[9] ?? 0) ^ 4;
    return { ...message, signature };
  }

  async #send(relay: Peer, messages: readonly RawMessage[]): Promise<void> {
    if (this.#server === undefined) return;
    try {
      relay.send(this.#server, messages);
      await relay.drained(this.#server);
    } catch {
      // It died this moment.
    }
  }
}
