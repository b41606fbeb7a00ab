/** The archive holds what the feed would have sent, and is whole or not there, whenever whoever makes it dies. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { constants, gunzipSync, inflateRawSync } from 'node:zlib';
import { Archive } from '../../../src/shared/archive/archive.js';
import { Archiver } from '../../../src/shared/archive/archiver.js';
import type { ArchiveSegment } from '../../../src/shared/archive/segment.js';
import { History } from '../../../src/shared/firehose/history.js';
import { metaFrame } from '../../../src/shared/firehose/meta.js';
import type { FileCalls } from '../../../src/shared/journal/files.js';
import { TestJournal } from '../../support/journal.js';
import { type Call, MemoryFiles } from '../../support/memory-files.js';

interface Inflated {
  readonly buffer: Buffer;
  readonly engine: { readonly bytesWritten: number };
}

const DIRECTORY = '/journal';
const BY = 77;

/** A journal of `count` entries of some 200 bytes and `padding`, each third without a frame, closed or not. */
function journal(
  count: number,
  segmentBytes: number,
  padding = 0,
): { files: MemoryFiles; test: TestJournal } {
  const files = new MemoryFiles();
  const test = new TestJournal(DIRECTORY, { files, segmentBytes });
  for (let n = 0; n < count; n++) test.append([`${n}`], { parts: n % 3 === 0 ? 'r' : 'f', padding });
  return { files, test };
}

async function archiveAll(files: FileCalls, by = BY): Promise<void> {
  const archiver = new Archiver({ directory: DIRECTORY, files, by });
  archiver.sweep();
  for (const segment of archiver.due()) await archiver.archive(segment);
}

const listed = (files: FileCalls): readonly ArchiveSegment[] =>
  new Archive({ directory: DIRECTORY, files }).list();

const archiveNames = (files: MemoryFiles): string[] =>
  files.names.filter((name) => /ndjson|json|partial/.test(name)).sort();

/** The lines that the feed has with `meta` from `from` to before `to`. */
function linesOf(files: FileCalls, { cursor: text, end: position }: ArchiveSegment): string[] {
  const history = new History({ directory: DIRECTORY, files });
  const { next } = history.resolve({ type: 'cursor', text });
  const lines: string[] = [];
  for (let at = next; at.position < position; ) {
    const read = history.read(at, { end: { ...next, position, seq: 0 }, maxBytes: 1e6 });
    for (const entry of read.entries)
      lines.push(Buffer.from(metaFrame(entry, history.tell(entry, read.epoch))).toString());
    at = read.next;
  }
  history.close();
  return lines;
}

function check(files: MemoryFiles, segment: ArchiveSegment): string[] {
  const name = segment.path.slice(segment.path.lastIndexOf('/') + 1);
  const bytes = files.contentOf(name);
  assert.equal(segment.bytes, bytes.length);
  assert.equal(segment.sha256, createHash('sha256').update(bytes).digest('hex'));
  const plain = gunzipSync(bytes);
  assert.equal(segment.plainBytes, plain.length);
  assert.equal(segment.plainSha256, createHash('sha256').update(plain).digest('hex'));
  // One gzip member: behind its deflate stream there is its trailer and nothing else.
  const { buffer, engine } = inflateRawSync(bytes.subarray(10), { info: true }) as unknown as Inflated;
  assert.deepEqual([buffer, 10 + engine.bytesWritten + 8], [plain, bytes.length]);
  // Each chunk can be read alone, and is of whole lines.
  segment.chunks.forEach(({ offset, bytes: length, plainOffset }, index) => {
    const next = segment.chunks[index + 1];
    if (next !== undefined) assert.equal(offset + length, next.offset);
    const finishFlush = constants.Z_SYNC_FLUSH;
    const chunk = inflateRawSync(bytes.subarray(offset, offset + length), { finishFlush });
    assert.deepEqual(chunk, plain.subarray(plainOffset, next?.plainOffset));
    assert.equal(chunk.at(-1), 10);
  });
  const lines = plain.toString().split('\n').slice(0, -1);
  assert.equal(segment.frames, lines.length);
  const seqs = lines.map((line) => JSON.parse(line).seq);
  assert.deepEqual([segment.firstSeq, segment.lastSeq], [seqs[0], seqs.at(-1)]);
  return lines;
}

describe('the archive', () => {
  it('has each sealed segment with the frames that the feed would send, and no other', async () => {
    const { files, test } = journal(200, 4000);
    await archiveAll(files);
    const segments = listed(files);
    const sealed = files.names.filter((name) => name.endsWith('.journal')).length - 1;
    assert.ok(sealed > 5);
    assert.equal(segments.length, sealed);
    segments.forEach((segment, index) => {
      assert.deepEqual(check(files, segment), linesOf(files, segment));
      assert.deepEqual(segment.gaps, []);
      assert.equal(segment.epoch, test.journal.epoch);
      // One follows the other without a gap, also by cursor.
      const next = segments[index + 1];
      if (next === undefined) return;
      assert.deepEqual([segment.end, segment.next, segment.to], [next.first, next.cursor, next.from]);
    });
    // Who has them all goes on behind the last with what is live.
    const history = new History({ directory: DIRECTORY, files });
    const last = segments.at(-1);
    const { next } = history.resolve({ type: 'cursor', text: last?.next ?? '' }, { strict: true });
    assert.equal(
      next.seq,
      segments.reduce((sum, { frames }) => sum + frames, 0),
    );
  });

  it('is in chunks of some 256 KiB', async () => {
    const { files } = journal(600, 2_000_000, 5000);
    await archiveAll(files);
    const [segment] = listed(files);
    assert.ok(segment !== undefined && segment.chunks.length > 3);
    check(files, segment);
    const sizes = segment.chunks.map(
      ({ plainOffset }, index) =>
        (segment.chunks[index + 1]?.plainOffset ?? segment.plainBytes) - plainOffset,
    );
    for (const size of sizes.slice(0, -1)) assert.ok(size >= 262_144 && size < 280_000, `${size}`);
  });

  it('never changes what it has', async () => {
    const { files, test } = journal(50, 4000);
    await archiveAll(files);
    const before = new Map(archiveNames(files).map((name) => [name, files.contentOf(name)]));
    const { length } = files.calls;
    await archiveAll(files);
    assert.deepEqual(files.calls.slice(length), []);
    for (let n = 0; n < 50; n++) test.append([`later ${n}`]);
    await archiveAll(files);
    for (const [name, bytes] of before) assert.deepEqual(files.contentOf(name), bytes);
    assert.ok(archiveNames(files).length > before.size);
  });

  it('goes with its segments, and with those that went while nobody archived', async () => {
    const { files, test } = journal(100, 4000);
    await archiveAll(files);
    const before = archiveNames(files).length;
    const small = new TestJournal(DIRECTORY, { files, segmentBytes: 4000, retentionBytes: 10_000 });
    small.append(['x']);
    small.journal.retain();
    assert.ok(small.journal.oldest.position > 0);
    const first = listed(files)[0]?.first;
    assert.equal(first, small.journal.oldest.position);
    assert.ok(archiveNames(files).length < before);
    assert.equal(archiveNames(files).length, 2 * listed(files).length);
    // As a full disk or a person takes it.
    files.remove(files.names.filter((name) => name.endsWith('.journal')).sort()[0] ?? '');
    assert.ok((listed(files)[0]?.first ?? 0) > (first ?? 0));
    await archiveAll(files);
    assert.equal(archiveNames(files).length, 2 * listed(files).length);
    assert.ok(test.journal.end > 0);
  });

  it('tells what was damaged, and has all else', async () => {
    const { files } = journal(200, 4000);
    const names = files.names.filter((name) => name.endsWith('.journal')).sort();
    const [, damaged = '', headless = '', , cut = ''] = names;
    const flipped = Buffer.from(files.contentOf(damaged));
    flipped[1000] = (flipped[1000] as number) ^ 1;
    files.setContent(damaged, flipped);
    const without = Buffer.from(files.contentOf(headless));
    without.fill(0, 0, 128);
    files.setContent(headless, without);
    files.setContent(cut, files.contentOf(cut).subarray(0, 2000));
    await archiveAll(files);
    const segments = listed(files);
    // What has no head is missing in the one before.
    assert.deepEqual(
      segments.map(({ first }) => first),
      names
        .slice(0, -1)
        .filter((name) => name !== headless)
        .map((name) => Number.parseInt(name, 10)),
    );
    const seqs: number[] = [];
    for (const segment of segments) {
      for (const line of check(files, segment)) seqs.push(JSON.parse(line).seq);
      for (const { from = 0, to = -1 } of segment.gaps) for (let seq = from; seq <= to; seq++) seqs.push(seq);
    }
    seqs.sort((a, b) => a - b);
    assert.deepEqual(
      seqs,
      seqs.map((_, index) => index),
    );
    assert.equal(segments.filter(({ gaps }) => gaps.length > 0).length, 2);
    // Once damaged itself it is made anew.
    const [segment] = segments;
    const name = segment?.path.slice(segment.path.lastIndexOf('/') + 1) ?? '';
    const bytes = files.contentOf(name);
    files.setContent(name, bytes.subarray(0, -1));
    assert.equal(listed(files).length, segments.length - 1);
    await archiveAll(files);
    assert.deepEqual(files.contentOf(name), bytes);
    const metadata = name.replace('.ndjson.gz', '.json');
    files.setContent(metadata, Buffer.from('{"format":2'));
    await archiveAll(files);
    assert.deepEqual(listed(files), segments);
  });

  it('is made anew where it is of another format', async () => {
    const { files } = journal(100, 4000);
    await archiveAll(files);
    const expected = listed(files);
    const names = archiveNames(files);
    // As the version before left it.
    for (const name of names) {
      const content = files.contentOf(name);
      if (!name.endsWith('.json')) files.setContent(name, Buffer.alloc(content.length));
      else files.setContent(name, Buffer.from(content.toString().replace(/"format":\d+/, '"format":1')));
    }
    assert.deepEqual(listed(files), []);
    const archiver = new Archiver({ directory: DIRECTORY, files, by: BY });
    archiver.sweep();
    assert.deepEqual(archiveNames(files), []);
    assert.equal(archiver.due().length, expected.length);
    await archiveAll(files);
    assert.deepEqual(listed(files), expected);
    assert.deepEqual(archiveNames(files), names);
    for (const segment of expected) check(files, segment);
  });

  it('is a whole gzip file where a segment has no frame', async () => {
    const files = new MemoryFiles();
    const test = new TestJournal(DIRECTORY, { files, segmentBytes: 4000 });
    for (let n = 0; n < 60; n++) test.append([`${n}`], { parts: 'r' });
    await archiveAll(files);
    const [segment] = listed(files);
    assert.ok(segment);
    assert.deepEqual([check(files, segment), segment.plainBytes, segment.chunks], [[], 0, []]);
  });

  it('is whole after a death at any moment, and after a power loss', async () => {
    const { files: start } = journal(100, 4000);
    const { files: whole } = { files: start.copy() };
    await archiveAll(whole);
    const expected = listed(whole);
    assert.ok(expected.length >= 2);
    let random = 1;
    const next = () => {
      random = (random * 48_271) % 0x7fffffff;
      return random / 0x7fffffff;
    };
    for (let calls = 0; calls <= whole.calls.length; calls++) {
      const isWrite = whole.calls[calls]?.type === 'write';
      const states = [whole.asOf(calls), ...(isWrite ? [whole.asOf(calls, 10)] : [])];
      for (let n = 0; n < 4; n++) states.push(whole.afterPowerLoss(calls, next));
      for (const left of states) {
        for (const segment of listed(left)) check(left, segment);
        // The next one may have the same process id, or another.
        await archiveAll(left, calls % 2 === 0 ? BY : BY + 1);
        assert.deepEqual(listed(left), expected);
        assert.deepEqual(archiveNames(left), archiveNames(whole));
        assert.equal(left.opened, 0);
      }
    }
  });

  it('leaves nothing behind where the disk takes no more, and is made when it does', async () => {
    const { files } = journal(100, 4000);
    const faultless = files.copy();
    await archiveAll(faultless);
    const expected = listed(faultless);
    const { length } = faultless.calls;
    for (const code of ['ENOSPC', 'EIO']) {
      for (let failing = 0; failing < length; failing++) {
        const left = files.copy();
        let call = 0;
        left.fault = ({ type }: Call) => {
          if (type === 'remove') return undefined;
          return call++ >= failing ? { code, after: 5 } : undefined;
        };
        await archiveAll(left).then(
          () => {},
          (error: NodeJS.ErrnoException) => assert.equal(error.code, code),
        );
        assert.equal(left.opened, 0);
        assert.deepEqual(
          left.names.filter((name) => name.endsWith('.partial')),
          [],
        );
        for (const segment of listed(left)) check(left, segment);
        left.fault = () => undefined;
        await archiveAll(left);
        assert.deepEqual(listed(left), expected);
      }
    }
  });

  it('is not made of a segment that grows again, or went, meanwhile', async () => {
    const { files } = journal(100, 4000);
    const archiver = new Archiver({ directory: DIRECTORY, files, by: BY });
    const [segment, other] = archiver.due();
    assert.ok(segment !== undefined && other !== undefined);
    assert.equal(await archiver.archive({ ...segment, bytes: segment.bytes - 1 }), undefined);
    assert.deepEqual(archiveNames(files), []);
    const name = files.names.filter((each) => each.endsWith('.journal')).sort()[1] ?? '';
    const archiving = archiver.archive(other);
    files.remove(name);
    assert.equal(await archiving, undefined);
    assert.deepEqual(archiveNames(files), []);
  });
});
