/**
 * What must be in the journal, in Kafka and at WebSocket clients, reckoned from what the test's senders sent and from what GossipSub passed on. Nothing
 * here asks the server what it believes.
 */

import assert from 'node:assert/strict';
import { type AnnouncedRecord, announcementOf } from '../announced-records.js';
import type { DashboardFrame } from '../dashboard.js';
import { numberOf } from '../gossip.js';
import type { FiledJournal } from './journal-files.js';

export const KINDS = ['block', 'subtree'] as const;
export type Kind = (typeof KINDS)[number];
/** Kafka's topic of each, and the topic's number on disk. */
export const TOPICS = { block: 'blocks', subtree: 'subtrees' } as const;
const TOPIC_NUMBERS = { block: 1, subtree: 2 } as const;

/** What one author announces of one kind: numbers from 0 on, in order. */
export interface Announcements {
  readonly kind: Kind;
  /** Base58. */
  readonly author: string;
}

/** Of one kind and author, in one word. */
export const streamOf = ({ kind, author }: Announcements): string => `${kind} ${author}`;
/** Of one announcement. */
export const wordOf = (of: Announcements, n: number): string => `${streamOf(of)} ${n}`;
const wordOfFrame = ({ type, hash, peer_id }: DashboardFrame): string =>
  `${type} ${peer_id} ${numberOf(hash)}`;

/** The journal as the oracle sees it. */
export interface Stored {
  /** Announcements in the order in which they were stored. */
  readonly words: readonly string[];
  /** How many there are of each kind and author: those numbered below it. */
  readonly counts: ReadonlyMap<string, number>;
}

export const NOTHING_STORED: Stored = { words: [], counts: new Map() };

/** Long lists, of which the first difference is enough. */
function mustAgree(actual: readonly string[], expected: readonly string[], what: string): void {
  const at = actual.findIndex((word, index) => word !== expected[index]);
  if (at === -1 && actual.length <= expected.length) return;
  const place = at === -1 ? expected.length : at;
  const around = (words: readonly string[]) => words.slice(Math.max(0, place - 2), place + 3).join(', ');
  assert.fail(
    `${what}: at ${place} of ${actual.length} there is ${around(actual)}; it was to be ${around(expected)}`,
  );
}

/** Judges a journal at rest: each author's announcements of each kind, once, in order, from the first on; and all that was there before is there still. */
export function judgeJournal({ entries, epochs }: FiledJournal, before: Stored): Stored {
  assert.ok(new Set(epochs).size <= 1, `a death of processes began a new epoch: ${epochs.join(', ')}`);
  const words: string[] = [];
  const counts = new Map<string, number>();
  for (const { own, author, frame, record } of entries) {
    if (own) {
      assert.equal(record, undefined, 'what the node says itself goes to no topic');
      continue;
    }
    const { type, hash = '', peer_id = '' } = frame ?? { type: 'nothing' };
    const kind = KINDS.find((each) => each === type);
    assert.ok(kind !== undefined && record !== undefined, `an entry of ${type}`);
    const announced: AnnouncedRecord = { key: hash, hash, originator: author };
    assert.equal(peer_id, author);
    assert.deepEqual(announcementOf(record.key, record.value), announced, 'the record is of the frame');
    assert.equal(record.topic, TOPIC_NUMBERS[kind]);
    const stream = streamOf({ kind, author });
    const n = counts.get(stream) ?? 0;
    assert.equal(numberOf(hash), n, `the next of ${stream} in the journal`);
    counts.set(stream, n + 1);
    words.push(wordOf({ kind, author }, n));
  }
  mustAgree(before.words, words, 'what was stored is stored still');
  return { words, counts };
}

/** Judges what one connection of a client heard: a part of the journal without a gap. */
export function judgeFeed(frames: readonly DashboardFrame[], { words }: Stored): void {
  const heard = frames.map(wordOfFrame);
  const [first] = heard;
  if (first === undefined) return;
  const from = words.indexOf(first);
  assert.ok(from >= 0, `a client heard ${first}, which is not in the journal`);
  mustAgree(heard, words.slice(from), 'what a client heard is in the journal so, without a gap');
}

/**
 * Judges a topic: the records of the journal, in its order. After a death it may go back once, to what was not acknowledged by then, and over it again. `whole`: none
 * may be missing.
 */
export function judgeRecords(
  records: readonly AnnouncedRecord[],
  kind: Kind,
  { words }: Stored,
  { deaths, whole }: { readonly deaths: number; readonly whole: boolean },
): { readonly again: number } {
  const owed = words.filter((word) => word.startsWith(`${kind} `));
  const places = new Map(owed.map((word, place) => [word, place]));
  let last = -1;
  let furthest = -1;
  let returns = 0;
  for (const { key, hash, originator } of records) {
    assert.equal(key, hash);
    const word = wordOf({ kind, author: originator }, numberOf(hash));
    const place = places.get(word);
    assert.ok(place !== undefined, `${word} is in Kafka and not in the journal`);
    assert.ok(place <= furthest + 1, `Kafka has ${word} before ${owed[furthest + 1]}`);
    if (place !== last + 1) returns++;
    last = place;
    furthest = Math.max(furthest, place);
  }
  assert.ok(returns <= deaths, `${TOPICS[kind]} goes back ${returns} times after ${deaths} deaths`);
  if (whole) assert.equal(furthest + 1, owed.length, `${TOPICS[kind]} has all of the journal`);
  return { again: records.length - (furthest + 1) };
}
