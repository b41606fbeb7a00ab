/** Journals in temporary directories, with entries that say what they are. */

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeEntry,
  type Entry,
  encodeEntry,
  FRAME,
  flagsOf,
  type JournalledEntry,
} from '../../src/shared/journal/entry.js';
import { FILES, type FileCalls } from '../../src/shared/journal/files.js';
import { Journal, type Opened } from '../../src/shared/journal/journal.js';
import type { JournalOptions } from '../../src/shared/journal/options.js';
import { type Gap, JournalReader } from '../../src/shared/journal/reader.js';
import { type KeptLog, keptLog } from './logger.js';
import { type CleansUp, temporaryDirectory } from './temporary.js';

const AUTHOR = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
const NOTHING = new Uint8Array(0);

export interface SampleOptions {
  /** What the entry has: `f` a frame, `r` a record, `k` a repeat key. All unless told. */
  readonly parts?: string;
  readonly receivedAt?: number;
  /** Bytes of padding in the frame. */
  readonly padding?: number;
}

/** An entry whose frame or record says `name`. */
export function sampleEntry(name: string, options: SampleOptions = {}): Buffer {
  const { parts = 'frk', receivedAt = 1_700_000_000_000, padding = 0 } = options;
  const entry: Entry = {
    kind: 2,
    own: false,
    author: AUTHOR,
    receivedAt,
    repeatKey: parts.includes('k') ? name.padEnd(16, '.').slice(0, 16) : '',
    frame: parts.includes('f') ? Buffer.from(`{"name":"${name}"${' '.repeat(padding)}}`) : NOTHING,
    record: parts.includes('r')
      ? { topic: 2, hash: Buffer.alloc(32, 7), key: Buffer.from('key'), value: Buffer.from(name) }
      : undefined,
  };
  return encodeEntry(entry);
}

/** What `sampleEntry` was called with. */
export function nameOf(bytes: Uint8Array): string {
  const { frame, record } = decodeEntry(bytes);
  if ((flagsOf(bytes) & FRAME) !== 0) return JSON.parse(Buffer.from(frame).toString()).name;
  return record === undefined ? '' : Buffer.from(record.value).toString();
}

export class TestJournal {
  readonly journal: Journal;
  readonly opened: Opened;
  static #ids = 1;
  readonly #files: FileCalls;

  constructor(
    readonly directory: string,
    options: Partial<JournalOptions> = {},
    /** One for many journals is made once. */
    readonly log: KeptLog = keptLog(),
  ) {
    this.#files = options.files ?? FILES;
    this.journal = new Journal(
      { logger: this.log.logger },
      {
        directory,
        fsync: false,
        segmentBytes: 64 * 1024 * 1024,
        segmentMs: 3_600_000,
        retentionMs: 86_400_000,
        retentionBytes: 2 ** 31,
        repeats: { windowMs: 600_000, max: 500_000 },
        boot: 'this boot',
        ...options,
      },
    );
    this.opened = this.journal.open();
  }

  /** Appends a batch of entries with these names. */
  append(names: readonly string[], options: SampleOptions = {}, id = TestJournal.#ids++) {
    return this.journal.append({ id, entries: names.map((name) => sampleEntry(name, options)) });
  }

  /** Everything from `from` on as a new reader finds it. */
  read(from = 0, end = this.journal.end, maxBytes = 1024): Contents {
    return readAll(this.directory, from, end, maxBytes, this.#files);
  }

  names(from = 0): string[] {
    return this.read(from).entries.map(({ bytes }) => nameOf(bytes));
  }
}

export interface Contents {
  readonly entries: readonly JournalledEntry[];
  readonly gaps: readonly Gap[];
  /** The epoch of each entry. */
  readonly epochs: readonly string[];
}

export function readAll(
  directory: string,
  from: number,
  end: number,
  maxBytes = 1024,
  files: FileCalls = FILES,
): Contents {
  const reader = new JournalReader({ directory, files });
  const entries: JournalledEntry[] = [];
  const epochs: string[] = [];
  const gaps: Gap[] = [];
  try {
    for (let at = from; at < end; ) {
      const found = reader.read(at, end, maxBytes);
      if (found.gap !== undefined) gaps.push(found.gap);
      if (found.next === at) break;
      entries.push(...found.entries);
      epochs.push(...found.entries.map(() => found.epoch));
      at = found.next;
    }
  } finally {
    reader.close();
  }
  return { entries, gaps, epochs };
}

/** The path of a journal in a new temporary directory. */
export const journalDirectory = (context: CleansUp): string => join(temporaryDirectory(context), 'journal');

/** Segments in `directory`, the oldest first. */
export const segmentFiles = (directory: string): string[] =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.journal'))
    .sort()
    .map((name) => join(directory, name));
