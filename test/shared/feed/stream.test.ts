import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { createFrameStreamMetrics } from '../../../src/shared/feed/metrics.js';
import { encodeControl, MESSAGE } from '../../../src/shared/feed/stream.js';
import { FrameStreamClient } from '../../../src/shared/feed/stream-client.js';
import { FrameStreamServer } from '../../../src/shared/feed/stream-server.js';
import { localSocketPath } from '../../../src/shared/ipc/socket-path.js';
import { frameOf, hasFrame } from '../../../src/shared/journal/entry.js';
import { segmentName } from '../../../src/shared/journal/layout.js';
import { nodeStatus } from '../../../src/shared/messages/index.js';
import { heldBytes } from '../../support/garbage.js';
import { keptLog } from '../../support/logger.js';
import {
  entryWith,
  frameEntry,
  type OpenJournal,
  openJournal,
  recordEntry,
  streamJournal,
} from '../../support/open-journal.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const STATUS = entryWith({
  kind: nodeStatus.id,
  own: true,
  frame: Buffer.from('{"type":"node_status","peer_id":"me"}'),
});
const frames = (count: number, padding = '') =>
  Array.from({ length: count }, (_, n) => frameEntry({ type: 'block', n, padding }));

interface Heard {
  readonly seqs: number[];
  /** Sequence number and trace id of each frame that was told to be traced, before it came. */
  readonly traced: (readonly [seq: number, traceId: string])[];
  readonly statuses: string[];
  gaps: number;
}

function reader(context: TestContext, socketPath: string, { traces = false } = {}) {
  const heard: Heard = { seqs: [], traced: [], statuses: [], gaps: 0 };
  const client = new FrameStreamClient(
    {
      logger: keptLog().logger,
      handlers: {
        frames: (entries) => heard.seqs.push(...entries.map(({ seq }) => seq)),
        traced: (told) => {
          for (const [seq, { traceId }] of told) {
            assert.ok(!heard.seqs.includes(seq), 'it is told before its frame');
            heard.traced.push([seq, traceId]);
          }
        },
        gap: () => heard.gaps++,
        ownStatus: (entry) => heard.statuses.push(Buffer.from(frameOf(entry)).toString()),
      },
    },
    { socketPath, traces },
  );
  context.after(() => client.stop());
  client.start();
  return { client, heard };
}

async function serve(
  context: TestContext,
  {
    opened = openJournal(context),
    socketPath = localSocketPath(temporaryDirectory(context), 'frames.sock'),
  } = {},
) {
  const registry = new Registry();
  const server = new FrameStreamServer({
    socketPath,
    journal: streamJournal(opened),
    logger: keptLog().logger,
    metrics: createFrameStreamMetrics(registry),
  });
  await server.start();
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= server.stop();
    return stopped;
  };
  context.after(stop);
  /** As the publisher does it. */
  const append = (...entries: readonly Uint8Array[]): void =>
    server.append(opened.append(...entries).filter(({ bytes }) => hasFrame(bytes)));
  /** The same, where every third frame is traced. */
  const appendTraced = (...entries: readonly Uint8Array[]): (readonly [number, string])[] => {
    const placed = opened.append(...entries).filter(({ bytes }) => hasFrame(bytes));
    const traced = placed.filter((_, n) => n % 3 === 0).map(({ seq }) => [seq, parentOf(seq)] as const);
    server.append(placed, new Map(traced));
    return traced.map(([seq, { traceId }]) => [seq, traceId]);
  };
  return { append, appendTraced, stop, registry, opened, socketPath };
}

const parentOf = (seq: number) => ({
  traceId: seq.toString(16).padStart(32, '0'),
  spanId: 'ab'.repeat(8),
  state: '',
  clock: 0.5,
});

const until = (look: () => unknown, what: string) => waitFor(look, { what, timeoutMs: 10_000 });
const upTo = (to: number, from = 0) => Array.from({ length: to - from }, (_, n) => from + n);

describe('the stream of entries', () => {
  it('makes a socket that only its owner may use, over one left behind', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    writeFileSync(socketPath, 'left behind');
    await serve(t, { socketPath });
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  });

  it('tells which frames are traced, before them and to who asks alone', async (t) => {
    const { append, appendTraced, socketPath } = await serve(t);
    const asking = reader(t, socketPath, { traces: true });
    const other = reader(t, socketPath);
    await until(() => asking.client.connected && other.client.connected, 'both');
    append(...frames(5));
    const traced = [...appendTraced(...frames(7)), ...appendTraced(...frames(3))];
    append(...frames(5));
    await until(() => asking.heard.seqs.length === 20 && other.heard.seqs.length === 20, 'all frames');
    assert.deepEqual(asking.heard.traced, traced);
    assert.deepEqual(
      traced.map(([seq]) => seq - (asking.heard.seqs[0] ?? 0)),
      [5, 8, 11, 12],
    );
    assert.deepEqual(other.heard.traced, []);
    assert.deepEqual(asking.heard.seqs, other.heard.seqs);
  });

  it('is in its directory however long the path of that is, and nowhere else', async (t) => {
    const directory = join(temporaryDirectory(t), 'x'.repeat(120));
    mkdirSync(directory);
    const { append, stop, socketPath } = await serve(t, {
      socketPath: localSocketPath(directory, 'frames.sock'),
    });
    assert.ok(statSync(join(directory, 'frames.sock')).isSocket());
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'a connection');
    append(...frames(3));
    await until(() => heard.seqs.length === 3, 'frames');
    await stop();
    assert.deepEqual(readdirSync(directory), []);
  });

  it('starts a new reader at the newest frame, greeted with the own status', async (t) => {
    const { append, socketPath } = await serve(t);
    append(...frames(1), STATUS, ...frames(1));
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected && heard.statuses.length === 1, 'the greeting');
    append(...frames(100));
    await until(() => heard.seqs.length === 100, 'frames');
    assert.deepEqual(heard.seqs, upTo(103, 3));
    assert.equal(heard.gaps, 0);
    assert.equal(heard.statuses[0], '{"type":"node_status","peer_id":"me"}');
  });

  it('tells an own status in its place among the frames', async (t) => {
    const { append, socketPath } = await serve(t);
    const heard: string[] = [];
    const client = new FrameStreamClient(
      {
        logger: keptLog().logger,
        handlers: {
          frames: (entries) => heard.push(...entries.map(({ seq }) => `frame ${seq}`)),
          gap: () => heard.push('gap'),
          ownStatus: (_, told) => heard.push(told ? 'told' : 'status'),
        },
      },
      { socketPath },
    );
    t.after(() => client.stop());
    client.start();
    await until(() => client.connected, 'connection');
    append(...frames(1), STATUS, ...frames(1));
    await until(() => heard.length === 4, 'frames');
    assert.deepEqual(heard, ['frame 0', 'status', 'frame 1', 'frame 2']);
  });

  it('wants what is behind the frames that it has just handed on, also where an own status parts them', async (t) => {
    const { append, socketPath } = await serve(t);
    const wanted: (readonly [heard: number, wanted: number | undefined])[] = [];
    const client = new FrameStreamClient(
      {
        logger: keptLog().logger,
        handlers: {
          frames: (entries) => wanted.push([entries.at(-1)?.seq ?? -1, client.position?.seq]),
          gap: () => {},
          ownStatus: () => {},
        },
      },
      { socketPath },
    );
    t.after(() => client.stop());
    client.start();
    await until(() => client.connected, 'connection');
    append(...frames(2), STATUS, ...frames(2), STATUS);
    await until(() => wanted.at(-1)?.[0] === 5, 'frames');
    assert.deepEqual(
      wanted,
      wanted.map(([heard]) => [heard, heard + 1]),
    );
    assert.equal(wanted.length, 3);
  });

  it('tells where each of several entries stands that follow one another', async (t) => {
    const { append, socketPath, opened } = await serve(t);
    const heard: (readonly [seq: number, position: number])[] = [];
    const client = new FrameStreamClient(
      {
        logger: keptLog().logger,
        handlers: {
          frames: (entries) => heard.push(...entries.map(({ seq, position }) => [seq, position] as const)),
          gap: () => {},
          ownStatus: () => {},
        },
      },
      { socketPath },
    );
    t.after(() => client.stop());
    client.start();
    await until(() => client.connected, 'connection');
    append(recordEntry('a'), ...frames(1));
    append(...frames(3));
    await until(() => heard.length === 4, 'frames');
    const { entries } = opened.reader.read(0, opened.journal.end, 1_000_000);
    const stored = entries.filter(({ bytes }) => hasFrame(bytes));
    assert.deepEqual(
      heard,
      stored.map(({ seq, position }) => [seq, position]),
    );
  });

  it('takes entries without a frame for no gap', async (t) => {
    const { append, socketPath } = await serve(t);
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'connection');
    append(recordEntry('a'), ...frames(1), recordEntry('b'));
    append(recordEntry('c'));
    append(...frames(1), recordEntry('d'), ...frames(1));
    await until(() => heard.seqs.length === 3, 'frames');
    assert.deepEqual([heard.seqs, heard.gaps], [[0, 1, 2], 0]);
  });

  it('resumes without a gap when the publisher comes back, however much came meanwhile', async (t) => {
    const opened = openJournal(t, undefined, { segmentBytes: 1_048_576 });
    const first = await serve(t, { opened });
    const { socketPath } = first;
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'connection');
    first.append(...frames(10));
    await until(() => heard.seqs.length === 10, 'frames');
    await first.stop();
    await until(() => !client.connected, 'the break');
    for (let n = 0; n < 40; n++)
      opened.append(recordEntry(String(n)), ...frames(50, 'x'.repeat(2000)), STATUS);
    const second = await serve(t, { opened, socketPath });
    await until(() => client.connected, 'connection');
    second.append(...frames(2));
    await until(() => heard.seqs.length === 2052, 'frames of the break, and after');
    assert.deepEqual(heard.seqs, upTo(2052));
    assert.equal(heard.gaps, 0);
    assert.equal(heard.statuses.length, 40, 'each in its place');
  });

  const GONE: readonly [what: string, change: (t: TestContext, opened: OpenJournal) => OpenJournal][] = [
    [
      'the frames are gone',
      (_, opened) => {
        opened.append(...frames(20, 'x'.repeat(4000)));
        opened.append(...frames(3));
        for (const first of [0, 10]) rmSync(join(opened.directory, segmentName(first)));
        return opened;
      },
    ],
    [
      'the epoch is another',
      (t, opened) => {
        const other = openJournal(t);
        other.append(...frames(opened.journal.nextSeq + 20));
        return other;
      },
    ],
  ];
  for (const [what, change] of GONE) {
    it(`says so when ${what}, and goes on`, async (t) => {
      const opened = openJournal(t, undefined, { segmentBytes: 65_536 });
      const first = await serve(t, { opened });
      const { socketPath } = first;
      const { client, heard } = reader(t, socketPath);
      await until(() => client.connected, 'connection');
      first.append(...frames(10));
      await until(() => heard.seqs.length === 10, 'frames');
      await first.stop();
      const left = change(t, opened);
      const second = await serve(t, { opened: left, socketPath });
      await until(() => client.connected && heard.gaps === 1, 'the gap');
      const next = left.journal.nextSeq;
      second.append(...frames(3));
      await until(() => heard.seqs.at(-1) === next + 2, 'frames after');
      assert.deepEqual(heard.seqs.slice(-3), upTo(next + 3, next));
      assert.equal(heard.gaps, 1);
    });
  }

  it('says so when what was missed cannot be read, and goes on', async (t) => {
    const { append, stop, opened, socketPath } = await serve(t);
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'the connection');
    append(...frames(3));
    await until(() => heard.seqs.length === 3, 'the first frames');
    await stop();
    opened.append(...frames(3));
    // What it opens instead cannot be read.
    const segment = join(opened.directory, segmentName(0));
    renameSync(segment, `${segment}.away`);
    mkdirSync(segment);
    const second = await serve(t, { opened, socketPath });
    await until(() => client.connected && heard.gaps > 0, 'word of what is missing');
    second.append(...frames(2));
    await until(() => heard.seqs.length === 5, 'what comes then');
    assert.deepEqual(heard.seqs, [0, 1, 2, 6, 7]);
    assert.equal(heard.gaps, 1);
  });

  it('does not grow for a reader that stopped reading, which then reads on in the journal', async (t) => {
    const { append, registry, opened, socketPath } = await serve(t);
    const slow = connect(socketPath);
    t.after(() => slow.destroy());
    slow.on('error', () => {});
    slow.write(encodeControl(MESSAGE.hello, { version: 2 }));
    await new Promise((resolve) => slow.once('data', resolve));
    slow.pause();
    const brisk = reader(t, socketPath);
    await until(() => brisk.client.connected, 'connection');
    const before = heldBytes();
    const padding = 'x'.repeat(4000);
    for (let seq = 0; seq < 20_000; seq += 50) {
      append(...frames(50, padding));
      await waitFor(() => brisk.heard.seqs.at(-1) === seq + 49, { what: 'the brisk reader', everyMs: 1 });
    }
    assert.ok(heldBytes() - before < 40_000_000, 'memory grew with the slow reader');
    assert.equal(brisk.heard.gaps, 0);
    assert.deepEqual(brisk.heard.seqs, upTo(20_000));
    let told = '';
    slow.on('data', (chunk: Buffer) => {
      told = chunk.toString('latin1').slice(-200);
    });
    slow.resume();
    await until(() => told.endsWith(`{"position":${opened.journal.end},"seq":20000}`), 'where to read on');
    assert.match(await registry.metrics(), /teranode_p2p_frame_stream_lags_total 1/);
  });

  it('a reader that was slow has every frame once, in order, whatever comes while it reads on', async (t) => {
    const { append, registry, socketPath } = await serve(t);
    const seqs: number[] = [];
    let gaps = 0;
    let release = (): void => {};
    const client = new FrameStreamClient(
      {
        logger: keptLog().logger,
        handlers: {
          frames: (entries) => {
            seqs.push(...entries.map(({ seq }) => seq));
            // As long as it works for others the socket is not read.
            if (seqs.length === 50) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
          },
          gap: () => gaps++,
          ownStatus: () => {},
          connected: () => release(),
        },
      },
      { socketPath },
    );
    t.after(() => client.stop());
    const connected = new Promise<void>((resolve) => {
      release = resolve;
    });
    client.start();
    await connected;
    // Far more than a socket holds, in one turn: nobody reads meanwhile.
    const padding = 'x'.repeat(4000);
    for (let n = 0; n < 100; n++) append(...frames(50, padding));
    for (let n = 0; n < 100; n++) {
      append(...frames(1));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => seqs.length === 5100, 'all frames');
    assert.deepEqual([seqs, gaps], [upTo(5100), 0]);
    assert.match(await registry.metrics(), /teranode_p2p_frame_stream_lags_total [1-9]/);
  });

  it('drops a stranger that speaks something else, and one that says nothing useful', async (t) => {
    const { append, socketPath } = await serve(t);
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([3, 0, 0, 0, 1, 0x7b, 0x7b]),
      Buffer.from([3, 0, 0, 0, 3, 0, 0]),
    ]) {
      const stranger = connect(socketPath);
      stranger.on('error', () => {});
      const closed = new Promise<void>((resolve) => stranger.once('close', () => resolve()));
      stranger.resume();
      stranger.write(bytes);
      await closed;
    }
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'connection');
    append(...frames(1));
    await until(() => heard.seqs.length === 1, 'a frame');
    assert.deepEqual(heard.seqs, [0]);
  });
});
