/** What a consumer of a journal's history gets. */

import type { Place } from '../../src/shared/firehose/cursor-scheme.js';
import type { History } from '../../src/shared/firehose/history.js';
import type { StartPoint } from '../../src/shared/firehose/request.js';
import { nameOf } from './journal.js';

export interface Consumed {
  /** Names of frames, and codes of infos in brackets, in order. */
  readonly all: readonly string[];
  /** Names of frames. */
  readonly names: readonly string[];
  /** What was told of each frame. */
  readonly cursors: readonly string[];
  readonly epochs: readonly string[];
  readonly seqs: readonly number[];
  /** First and last sequence number of each gap of which they are told. */
  readonly gaps: readonly (readonly [from: number, to: number])[];
  /** The cursor of each info. */
  readonly infoCursors: readonly string[];
  readonly next: Place;
}

/** Everything from `start` on, to `end` or to the end of the files. */
export function consume(
  history: History,
  start: StartPoint,
  { end, maxBytes = 1, strict = false }: { end?: Place; maxBytes?: number; strict?: boolean } = {},
): Consumed {
  const all: string[] = [];
  const frames: { name: string; cursor: string; epoch: string; seq: number }[] = [];
  const gaps: [number, number][] = [];
  const infoCursors: string[] = [];
  const { next, infos } = history.resolve(start, { end, strict });
  const tell = (told: typeof infos): void => {
    for (const { code, from, to, cursor = '' } of told) {
      all.push(`[${code}]`);
      infoCursors.push(cursor);
      if (from !== undefined && to !== undefined) gaps.push([from, to]);
    }
  };
  tell(infos);
  let at = next;
  for (;;) {
    const read = history.read(at, { end, maxBytes });
    tell(read.before);
    for (const entry of read.entries) {
      const name = nameOf(entry.bytes);
      all.push(name);
      frames.push({ name, ...history.tell(entry, read.epoch) });
    }
    tell(read.after);
    if (read.next.position === at.position && read.next.epoch === at.epoch) break;
    at = read.next;
  }
  return {
    all,
    names: frames.map(({ name }) => name),
    cursors: frames.map(({ cursor }) => cursor),
    epochs: frames.map(({ epoch }) => epoch),
    seqs: frames.map(({ seq }) => seq),
    gaps,
    infoCursors,
    next: at,
  };
}
