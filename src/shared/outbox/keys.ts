/** The outbox's keys. Numbers have 16 digits, so that text order is number order. */

export const FORMAT_KEY = 'format';
export const EPOCH_KEY = 'epoch';
/** The last key of an upgrade that is under way. */
export const UPGRADED_KEY = 'upgraded';
/** The machine's boot under which writes did not wait for the disk, or `safe`. */
export const UNSYNCED_KEY = 'unsynced';
/** Next frame and next chunk: two doubles, rewritten with every batch. */
export const POSITION_KEY = 'position';
/** The last frame that the notifications topic acknowledged. */
export const NOTIFIED_KEY = 'notified';

const digits = (number: number): string => number.toString().padStart(16, '0');

export const FRAMES = { gte: 'frames/', lt: 'frames0' } as const;
export const frameKey = (firstSeq: number): string => `frames/${digits(firstSeq)}`;

export const REPEATS = { gte: 'repeats/', lt: 'repeats0' } as const;
/** What one write remembers as announced: `at` is its time in unix ms, `id` tells it from others of that time. */
export const repeatsKey = (at: number, id: number): string => `repeats/${digits(at)}/${digits(id)}`;

/** Unix ms. */
export const repeatsAt = (key: string): number => Number(key.split('/')[1]);

export const ENTRIES = { gte: 'entries/', lt: 'entries0' } as const;

/** The count is in the key, so that the depth is known without reading a value. */
export const entryKey = (topic: string, id: number, count: number): string =>
  `entries/${topic}/${digits(id)}/${count}`;

/** Entries of `topic` after chunk `id`. */
export const entriesAfter = (topic: string, id: number): { readonly gte: string; readonly lt: string } => ({
  gte: `entries/${topic}/${digits(id + 1)}`,
  lt: `entries/${topic}0`,
});

/** Throws RangeError when `key` is none of an entry: it is damaged. */
export function parseEntryKey(key: string): { topic: string; id: number; count: number } {
  const [, topic = '', id, count] = /^entries\/([^/]+)\/(\d{16})\/([1-9]\d*)$/.exec(key) ?? [];
  if (count === undefined) throw new RangeError('a key of the outbox is damaged');
  return { topic, id: Number(id), count: Number(count) };
}

export const DEAD_LETTERS = { gte: 'dead/', lt: 'dead0' } as const;
export const deadLetterKey = (id: number): string => `dead/${digits(id)}`;

export const damagedLetterKey = (letter: string): string => `damaged/${letter}`;

/** Chunks that could not be read back, under the rest of their key. */
export const damagedKey = (entry: string): string => `damaged/${entry.slice('entries/'.length)}`;
