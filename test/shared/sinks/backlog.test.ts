import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeEntry, type JournalledEntry, recordBytesOf } from '../../../src/shared/journal/entry.js';
import { blocks } from '../../../src/shared/messages/topics.js';
import { Backlog } from '../../../src/shared/sinks/backlog.js';
import { isRecordOf } from '../../../src/shared/sinks/kafka/sink.js';
import { entryWith, frameEntry, openJournal, recordEntry } from '../../support/open-journal.js';

const BLOCKS = isRecordOf(blocks.id);
const textOf = ({ bytes }: JournalledEntry): string =>
  Buffer.from(decodeEntry(bytes).record?.value ?? []).toString();

async function takeAll(backlog: Backlog): Promise<string[]> {
  const seen: string[] = [];
  while (!backlog.empty) {
    const taken = await backlog.take(5, 1_000_000, recordBytesOf);
    seen.push(...taken.map(textOf));
    backlog.complete(taken.length);
  }
  return seen;
}

test('what does not fit into memory is read back in order, while more comes', async (context) => {
  const { source, append } = openJournal(context);
  const backlog = new Backlog(source, BLOCKS, { entries: 10, bytes: 1000 });
  backlog.begin(0, 0);
  let added = 0;
  const add = (count: number): void => {
    const entries = Array.from({ length: count }, () => recordEntry(String(added++)));
    // Others' entries are between them.
    const placed = append(frameEntry({ n: added }), ...entries, recordEntry('another', 'subtrees'));
    for (const entry of placed) if (BLOCKS(entry.bytes)) backlog.add(entry);
  };
  for (let i = 0; i < 40; i++) add(7);
  assert.equal(backlog.waiting, 280);
  const seen: string[] = [];
  while (!backlog.empty) {
    const taking = backlog.take(5, 1_000_000, recordBytesOf);
    if (added < 400) add(3);
    const taken = await taking;
    assert.ok(taken.length <= 5);
    seen.push(...taken.map(textOf));
    backlog.complete(taken.length);
  }
  assert.deepEqual(
    seen,
    Array.from({ length: added }, (_, i) => String(i)),
  );
  assert.ok(added > 390);
  assert.equal(backlog.waiting, 0);
});

test('what an earlier run left comes before what is new, each once, from where the sink was', async (context) => {
  const { source, append } = openJournal(context);
  const names = Array.from({ length: 60 }, (_, n) => `record ${n}`);
  const placed = append(...names.map((name) => recordEntry(name)));
  const backlog = new Backlog(source, BLOCKS, { entries: 20, bytes: 1_000_000 });
  backlog.begin(placed[10]?.position ?? 0, 50);
  const [next] = append(recordEntry('next'));
  assert.ok(next);
  backlog.add(next);
  assert.equal(backlog.waiting, 51);
  assert.deepEqual(await takeAll(backlog), [...names.slice(10), 'next']);
});

test('the position behind what is done is told, whatever stands between', async (context) => {
  const { source, append } = openJournal(context);
  const backlog = new Backlog(source, BLOCKS);
  backlog.begin(0, 0);
  const placed = append(
    recordEntry('one'),
    frameEntry({}),
    frameEntry({}),
    recordEntry('two'),
    frameEntry({}),
  );
  for (const entry of placed) if (BLOCKS(entry.bytes)) backlog.add(entry);
  assert.equal((await backlog.take(5, 1000, recordBytesOf)).length, 2);
  assert.equal(backlog.complete(1), 1);
  assert.equal(backlog.complete(1), 4);
});

test('a request has at most so many bytes, and at least one record', async (context) => {
  const { source, append } = openJournal(context);
  const backlog = new Backlog(source, BLOCKS);
  backlog.begin(0, 0);
  for (const entry of append(...['x'.repeat(500), 'y'.repeat(500), 'z'].map((text) => recordEntry(text))))
    backlog.add(entry);
  assert.equal((await backlog.take(10, 100, recordBytesOf)).length, 1);
  assert.equal((await backlog.take(10, 1000, recordBytesOf)).length, 2);
  assert.equal((await backlog.take(10, 10_000, recordBytesOf)).length, 3);
});

test('of our own announcements there are no records, whatever they carry', () => {
  const record = { topic: 1, hash: Buffer.alloc(32), key: Buffer.alloc(0), value: Buffer.from('mine') };
  assert.equal(BLOCKS(entryWith({ record })), true);
  assert.equal(BLOCKS(entryWith({ record, own: true })), false);
});
