/**
 * A process that appends to a journal until it is killed: told the directory and the bytes of a segment, it writes a line with the journal's epoch, and one with
 * the new end after each batch that was answered. Entry `n` is called `n`.
 */

import { TestJournal } from './journal.js';

const [directory = '', segmentBytes = ''] = process.argv.slice(2);
const test = new TestJournal(directory, { segmentBytes: Number(segmentBytes) });
const { journal } = test;
const say = (line: unknown): void => {
  process.stdout.write(`${line}\n`);
};

function batch(): void {
  const count = 1 + (journal.end % 5);
  test.append(Array.from({ length: count }, (_, n) => `${journal.end + n}`));
  say(journal.end);
  setImmediate(batch);
}

say(journal.epoch);
batch();
