/** Readers of the feed beside a server that dies: each with a wish and a habit of its own, all of them judged. */

import type { TestContext } from 'node:test';
import type { FiledJournal } from '../deaths/journal-files.js';
import { wordOf } from '../deaths/oracle.js';
import type { Audience, AudienceOptions } from '../deaths/run.js';
import { numberOf } from '../gossip.js';
import { harmJournal } from './harm.js';
import { type FeedHistory, JournalHistory } from './history.js';
import { type Judge, judgeOf } from './judge.js';
import { Reader } from './reader.js';
import { drawRoles } from './roles.js';
import type { TokenFile } from './tokens.js';
import { shownWish } from './wish.js';

/** In one step, of those who have the habit. */
const CUTS = 0.06;
const PAUSES = 0.15;
/** In one step: those whose token has one connection come at the same moment. */
const RUSHES = 0.05;

interface Watched {
  readonly reader: Reader;
  judge: Judge | undefined;
  /** Announcements that it has had since it was last asked. */
  readonly had: Set<string>;
  /** Where that was. */
  seen: { connection: number; item: number };
}

/** Readers of one feed. */
export class ReaderCrowd {
  readonly #readers: readonly Watched[];
  readonly #random: () => number;

  constructor(
    context: Pick<TestContext, 'after'>,
    options: AudienceOptions,
    { count, file }: { readonly count: number; readonly file?: TokenFile | undefined },
  ) {
    const { random, where } = options;
    this.#random = random;
    this.#readers = drawRoles(options, count, file).map(({ wish, key }) => ({
      reader: new Reader(context, { wish, key, where }),
      judge: undefined,
      had: new Set<string>(),
      seen: { connection: 0, item: 0 },
    }));
  }

  /** Some cut their connection, stop reading, or go on. As many numbers are drawn whatever they do. */
  act(): void {
    for (const { reader } of this.#readers) {
      const chance = this.#random();
      if (reader.wish.habit === 'cuts' && chance < CUTS) reader.cut();
      if (reader.wish.habit !== 'slow') continue;
      if (chance < PAUSES) reader.pause();
      else if (chance > 1 - PAUSES) reader.resume();
    }
    if (this.#random() < RUSHES) this.#rush();
  }

  /** From now on all read. */
  calm(): void {
    for (const { reader } of this.#readers) reader.resume();
    this.#rush();
  }

  /** Those who stop reading in a flood connect anew. */
  beforeStall(): void {
    for (const { reader } of this.#stalling) reader.again();
  }

  /** They stop reading; gives how many they are. */
  stall(): number {
    for (const { reader } of this.#stalling) reader.pause();
    return this.#stalling.length;
  }

  /** They go on. */
  goOn(): void {
    for (const { reader } of this.#stalling) reader.resume();
  }

  /** Whether all are connected, or refused, as it is to be. */
  get connected(): boolean {
    const single = this.#single;
    return (
      this.#readers.every(({ reader }) => reader.settled) &&
      (single.length === 0 || single.some(({ reader }) => reader.open))
    );
  }

  /** Whether none is connected, or about to be. */
  get parted(): boolean {
    return this.#readers.every(({ reader }) => reader.parted);
  }

  /** How often they were served, all together: while it stays, nobody was cut. */
  get connections(): number {
    return this.#readers.reduce((sum, { reader }) => sum + reader.connections, 0);
  }

  /** Whether each that is served has had those of `words` that it asked for. */
  haveHad(words: readonly string[]): boolean {
    return this.connected && this.#have(this.#readers, words);
  }

  /** Whether those who are to stall have had these words. */
  readyToStall(words: readonly string[]): boolean {
    return this.#stalling.every(({ reader }) => reader.open) && this.#have(this.#stalling, words);
  }

  /** They must have had everything up to the last of `words`. */
  rest(words: readonly string[]): void {
    for (const { reader } of this.#readers) {
      const last = reader.heard.at(-1);
      if (last?.open) last.rest = words;
    }
  }

  /** Nobody is connected any more: judges what they had. */
  judge(history: FeedHistory): void {
    const held = this.#single.filter(({ reader }) => reader.held);
    if (held.length > 1) throw new Error(`a token for one connection had ${held.length} at once`);
    for (const one of this.#readers) {
      const { reader } = one;
      one.judge ??= judgeOf(reader.wish, reader.key, history);
      for (const heard of reader.heard.splice(0)) one.judge.judge(heard);
      one.seen = { connection: 0, item: 0 };
      one.had.clear();
    }
  }

  /** Who lacks what, for whoever looks for the cause. */
  shown(words: readonly string[] = []): string[] {
    return this.#readers.map((one) => {
      const { reader, had } = one;
      const last = reader.heard.at(-1);
      const lacks = words.filter((word) => {
        const [kind = '', author = ''] = word.split(' ');
        return !had.has(word) && reader.shows({ kind, author });
      });
      const { status, code } = last?.refusal ?? {};
      const state = last?.open ? 'open' : status === undefined ? 'cut' : `refused with ${status} ${code}`;
      const items = `${last?.items.length ?? 0} items, the last ${JSON.stringify(last?.items.at(-1))?.slice(0, 200)}`;
      const by = reader.key === undefined ? '' : `, token ${reader.key.name}`;
      return `reader: ${shownWish(reader.wish)}${by}: ${state}, ${reader.connections} connections, ${items}, lacks ${lacks.length}`;
    });
  }

  /** What all of them had, in a few words. */
  sum(): string {
    let frames = 0;
    const told = new Map<string, number>();
    for (const { judge } of this.#readers) {
      frames += judge?.frames ?? 0;
      for (const [what, times] of Object.entries(judge?.told ?? {}))
        told.set(what, (told.get(what) ?? 0) + times);
    }
    const rest = [...told].map(([what, times]) => `${what} ${times}`).join(', ');
    return `${frames} frames at ${this.#readers.length} readers; ${rest}`;
  }

  get #stalling(): readonly Watched[] {
    return this.#readers.filter(({ reader }) => reader.wish.habit === 'stalls');
  }

  /** Those who share a token that has one connection. */
  get #single(): readonly Watched[] {
    return this.#readers.filter(({ reader }) => reader.key?.name === 'single');
  }

  #rush(): void {
    for (const { reader } of this.#single) reader.again();
  }

  #have(readers: readonly Watched[], words: readonly string[]): boolean {
    return readers.every((one) => {
      this.#look(one);
      const { reader, had } = one;
      if (!reader.open) return true;
      return words.every((word) => {
        const [kind = '', author = ''] = word.split(' ');
        return had.has(word) || !reader.shows({ kind, author });
      });
    });
  }

  #look(one: Watched): void {
    const { reader, had, seen } = one;
    for (; ; seen.connection++, seen.item = 0) {
      const items = reader.heard[seen.connection]?.items;
      if (items === undefined) return;
      for (; seen.item < items.length; seen.item++) {
        const item = items[seen.item];
        if (item?.type !== 'frame') continue;
        const { type, peer_id, hash } = JSON.parse(item.text) as {
          type: 'block' | 'subtree';
          peer_id: string;
          hash: string;
        };
        had.add(wordOf({ kind: type, author: peer_id }, numberOf(hash)));
      }
      if (seen.connection === reader.heard.length - 1) return;
    }
  }
}

/** Readers of a node's own feed. */
export class FeedReaders implements Audience {
  /** Segments as they were before something befell them. */
  readonly pristine = new Map<string, Buffer>();
  readonly history = new JournalHistory();
  readonly #crowd: ReaderCrowd;
  readonly #random: () => number;

  readonly #file: TokenFile | undefined;
  /** Whether the file of tokens was rewritten in this life. */
  #rewritten = false;

  /** `file`: of the server's tokens, where it wants any. */
  constructor(
    context: Pick<TestContext, 'after'>,
    options: AudienceOptions,
    { count, file }: { readonly count: number; readonly file: TokenFile | undefined },
  ) {
    this.#random = options.random;
    this.#file = file;
    this.#crowd = new ReaderCrowd(context, options, { count, file });
  }

  get connected(): boolean {
    return this.#crowd.connected;
  }

  get parted(): boolean {
    return this.#crowd.parted;
  }

  get connections(): number {
    return this.#crowd.connections;
  }

  act(): void {
    if (!this.#rewritten) this.#file?.rewrite();
    this.#rewritten = true;
    this.#crowd.act();
  }

  calm(): void {
    this.#crowd.calm();
  }

  beforeStall(): void {
    this.#crowd.beforeStall();
  }

  readyToStall(words: readonly string[]): boolean {
    return this.#crowd.readyToStall(words);
  }

  stall(): number {
    return this.#crowd.stall();
  }

  goOn(): void {
    this.#crowd.goOn();
  }

  haveHad(words: readonly string[]): boolean {
    return this.#crowd.haveHad(words);
  }

  rest(words: readonly string[]): void {
    this.#crowd.rest(words);
  }

  judge(journal: FiledJournal): void {
    this.history.take(journal);
    this.#crowd.judge(this.history);
    this.#file?.rest();
    this.#rewritten = false;
  }

  harm(directory: string, life: number): string {
    const { pristine, history } = this;
    return harmJournal(this.#random, { directory, history, pristine, life });
  }

  shown(words?: readonly string[]): readonly string[] {
    return this.#crowd.shown(words);
  }

  sum(): string {
    return this.#crowd.sum();
  }
}
