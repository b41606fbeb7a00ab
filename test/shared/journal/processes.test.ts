/** A journal between processes: one that writes and is killed, and others that read meanwhile. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JournalReader } from '../../../src/shared/journal/reader.js';
import { journalDirectory, nameOf, segmentFiles, TestJournal } from '../../support/journal.js';

const WRITER = fileURLToPath(new URL('../../support/journal-process.js', import.meta.url));
const SEGMENT_BYTES = 4096;

function startWriter(directory: string): ChildProcess {
  return spawn(process.execPath, [WRITER, directory, String(SEGMENT_BYTES)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Reads what is new, and holds it against what must be there. */
class Follower {
  readonly reader: JournalReader;
  at = 0;

  constructor(
    directory: string,
    readonly maxBytes: number,
  ) {
    this.reader = new JournalReader({ directory });
  }

  follow(end: number): void {
    while (this.at < end) {
      const { entries, gap, next } = this.reader.read(this.at, end, this.maxBytes);
      assert.equal(gap, undefined);
      assert.ok(entries.length > 0);
      for (const { position, seq, bytes } of entries) {
        assert.deepEqual([position, seq, nameOf(bytes)], [this.at, this.at, `${this.at}`]);
        this.at++;
      }
      assert.equal(next, this.at);
    }
    assert.equal(this.at, end);
  }
}

test('what a writer answered before it was killed is there, and two readers beside it get each entry once, whole and in order', async (context) => {
  const directory = journalDirectory(context);
  const followers = [new Follower(directory, 1), new Follower(directory, 100_000)];
  let epoch = '';
  for (let run = 0; run < 5; run++) {
    const writer = startWriter(directory);
    context.after(() => writer.kill('SIGKILL'));
    const exited = once(writer, 'exit');
    const lines = createInterface({ input: writer.stdout as NodeJS.ReadableStream });
    let answered = 0;
    let count = 0;
    for await (const line of lines) {
      if (count++ === 0) {
        assert.ok(run === 0 || line === epoch);
        epoch = line;
        continue;
      }
      answered = Number(line);
      for (const follower of followers) follower.follow(answered);
      if (count === 60 + 37 * run) writer.kill('SIGKILL');
    }
    await exited;
    const after = new TestJournal(directory, { segmentBytes: SEGMENT_BYTES });
    assert.deepEqual([after.opened.gaps, after.opened.newEpoch], [[], undefined]);
    // The last line may have been lost with the pipe, and a batch may have been under way.
    assert.ok(after.journal.end >= answered, `${after.journal.end} of ${answered}`);
    for (const follower of followers) follower.follow(after.journal.end);
    after.journal.close();
  }
  assert.ok(segmentFiles(directory).length > 20);
  for (const { reader } of followers) reader.close();
});
