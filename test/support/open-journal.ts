/** A journal in a directory of its own, and entries for it. */

import { createHash, randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { journalBounds } from '../../src/shared/journal/bounds.js';
import {
  type Entry,
  encodeEntry,
  FRAME,
  flagsOf,
  type JournalledEntry,
} from '../../src/shared/journal/entry.js';
import { Journal } from '../../src/shared/journal/journal.js';
import type { JournalOptions } from '../../src/shared/journal/options.js';
import { JournalReader } from '../../src/shared/journal/reader.js';
import { block, subtree } from '../../src/shared/messages/index.js';
import { stringify } from '../../src/shared/messages/json.js';
import { blocks, subtrees } from '../../src/shared/messages/topics.js';
import { keptLog } from './logger.js';
import { settingsOf } from './settings.js';
import { temporaryDirectory } from './temporary.js';

const NOTHING = new Uint8Array(0);

/** An entry with what is given, and nothing else. */
export function entryWith(parts: Partial<Entry>): Buffer {
  return encodeEntry({
    kind: block.id,
    own: false,
    author: 'peer',
    receivedAt: 5,
    repeatKey: '',
    frame: NOTHING,
    record: undefined,
    ...parts,
  });
}

/** A record for `topic` whose value is `text`. */
export function recordEntry(text: string, topic: 'blocks' | 'subtrees' = 'blocks'): Buffer {
  const [kind, { id }] = topic === 'blocks' ? [block.id, blocks] : [subtree.id, subtrees];
  const hash = createHash('sha256').update(text).digest();
  return entryWith({ kind, record: { topic: id, hash, key: NOTHING, value: Buffer.from(text) } });
}

export const frameEntry = (fields: object): Buffer => entryWith({ frame: Buffer.from(stringify(fields)) });

export interface OpenJournal {
  readonly directory: string;
  readonly journal: Journal;
  readonly reader: JournalReader;
  /** What a drainer reads. */
  readonly source: {
    readonly end: number;
    read(from: number, end: number, maxBytes: number): ReturnType<JournalReader['read']>;
  };
  /** Appends one batch; gives the entries where they stand. */
  append(...entries: readonly Uint8Array[]): JournalledEntry[];
}

/** Opens a journal, closed when the test ends. */
export function openJournal(
  context: Pick<TestContext, 'after'>,
  directory = join(temporaryDirectory(context), 'journal'),
  options: Partial<JournalOptions> = {},
): OpenJournal {
  const { logger } = keptLog();
  const journal = new Journal(
    { logger },
    { ...journalBounds(settingsOf()), directory, fsync: false, ...options },
  );
  journal.open();
  const reader = new JournalReader({ directory });
  context.after(() => {
    reader.close();
    journal.close();
  });
  return {
    directory,
    journal,
    reader,
    source: {
      get end() {
        return journal.end;
      },
      read: (from, end, maxBytes) => reader.read(from, end, maxBytes),
    },
    append: (...entries) => {
      const { firstPosition, firstSeq } = journal.append({ id: randomInt(2 ** 47), entries });
      let seq = firstSeq;
      return entries.map((bytes, index) => {
        const placed = { position: firstPosition + index, seq, bytes };
        if ((flagsOf(bytes) & FRAME) !== 0) seq++;
        return placed;
      });
    },
  };
}

/** What a frame stream is told of a journal. */
export function streamJournal({ journal, directory }: Pick<OpenJournal, 'journal' | 'directory'>) {
  return {
    directory,
    epoch: journal.epoch,
    get end() {
      return journal.end;
    },
    get nextSeq() {
      return journal.nextSeq;
    },
  };
}
