import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import { createFrameStreamMetrics } from '../../../src/shared/frames/metrics.js';
import { localSocketPath } from '../../../src/shared/frames/socket-path.js';
import { FrameStreamClient } from '../../../src/shared/frames/stream-client.js';
import { FrameStreamServer } from '../../../src/shared/frames/stream-server.js';
import type { Frame } from '../../../src/shared/frames/types.js';
import { heldBytes } from '../../support/garbage.js';
import { keptLog } from '../../support/logger.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const frame = (seq: number, fields: object = { type: 'block', height: seq }, own = false): Frame => ({
  seq,
  receivedAt: 1_700_000_000_000 + seq,
  kind: 1,
  own,
  json: Buffer.from(JSON.stringify(fields)),
});
const range = (from: number, to: number, fields?: object) =>
  Array.from({ length: to - from }, (_, index) => frame(from + index, fields));

interface Heard {
  readonly seqs: number[];
  readonly statuses: string[];
  gaps: number;
}

function reader(context: TestContext, socketPath: string) {
  const heard: Heard = { seqs: [], statuses: [], gaps: 0 };
  const client = new FrameStreamClient(
    {
      logger: keptLog().logger,
      handlers: {
        frames: (frames) => heard.seqs.push(...frames.map((each) => each.seq)),
        gap: () => heard.gaps++,
        ownStatus: (status) => heard.statuses.push(Buffer.from(status.json).toString()),
      },
    },
    { socketPath },
  );
  context.after(() => client.stop());
  client.start();
  return { client, heard };
}

async function serve(
  context: TestContext,
  socketPath: string,
  options: { epoch?: string; frames?: number; bytes?: number; recent?: Frame[]; next?: number } = {},
) {
  const registry = new Registry();
  const server = new FrameStreamServer({
    socketPath,
    epoch: options.epoch ?? 'epoch-a',
    bound: { frames: options.frames ?? 1000, ...(options.bytes ? { bytes: options.bytes } : {}) },
    logger: keptLog().logger,
    metrics: createFrameStreamMetrics(registry),
  });
  await server.start(options.recent ?? [], options.next);
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= server.stop();
    return stopped;
  };
  context.after(stop);
  return { server, stop, registry };
}

const until = (look: () => unknown, what: string) => waitFor(look, { what, timeoutMs: 10_000 });
const contiguous = (seqs: number[]) =>
  seqs.every((seq, index) => index === 0 || seq === Number(seqs[index - 1]) + 1);

describe('frame stream', () => {
  it('makes a socket that only its owner may use, over one left behind', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    writeFileSync(socketPath, 'left behind');
    await serve(t, socketPath);
    assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  });

  it('moves sockets whose path is too long to the temporary directory', () => {
    const long = localSocketPath(`/${'x'.repeat(120)}`, 'frames.sock');
    assert.ok(long.length < 104);
    assert.notEqual(long, localSocketPath(`/${'y'.repeat(120)}`, 'frames.sock'));
  });

  it('starts a new reader at the newest frame, greeted with the own status', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    const { server } = await serve(t, socketPath);
    server.append([frame(1), frame(2, { type: 'node_status', peer_id: 'me' }, true), frame(3)]);
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected && heard.statuses.length === 1, 'the greeting');
    server.append(range(4, 104));
    await until(() => heard.seqs.length === 100, 'frames');
    assert.deepEqual(
      heard.seqs,
      range(4, 104).map((each) => each.seq),
    );
    assert.equal(heard.gaps, 0);
    assert.equal(heard.statuses[0], '{"type":"node_status","peer_id":"me"}');
  });

  it('tells an own status in its place among the frames', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    const { server } = await serve(t, socketPath);
    const heard: string[] = [];
    const client = new FrameStreamClient(
      {
        logger: keptLog().logger,
        handlers: {
          frames: (frames) => heard.push(...frames.map(({ seq }) => `frame ${seq}`)),
          gap: () => heard.push('gap'),
          ownStatus: ({ seq }) => heard.push(`status ${seq}`),
        },
      },
      { socketPath },
    );
    t.after(() => client.stop());
    client.start();
    await until(() => client.connected, 'connection');
    server.append([frame(1), frame(2, { type: 'node_status', peer_id: 'me' }, true), frame(3)]);
    await until(() => heard.length === 4, 'frames');
    assert.deepEqual(heard, ['frame 1', 'status 2', 'frame 2', 'frame 3']);
  });

  it('takes no number for the first frame ever as a gap', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    const { server } = await serve(t, socketPath);
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'connection');
    server.append(range(7, 9));
    await until(() => heard.seqs.length === 2, 'frames');
    assert.equal(heard.gaps, 0);
  });

  it('resumes without a gap when the publisher comes back with its recent frames', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    const first = await serve(t, socketPath);
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'connection');
    first.server.append(range(1, 11));
    await until(() => heard.seqs.length === 10, 'frames');
    await first.stop();
    await until(() => !client.connected, 'the break');
    const second = await serve(t, socketPath, { recent: range(5, 31) });
    await until(() => heard.seqs.length === 30, 'frames of the break');
    second.server.append(range(31, 33));
    await until(() => heard.seqs.length === 32, 'frames after');
    assert.ok(contiguous(heard.seqs));
    assert.equal(heard.gaps, 0);
  });

  it('resumes on an empty ring when the next number is known', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    const first = await serve(t, socketPath);
    const { client, heard } = reader(t, socketPath);
    await until(() => client.connected, 'connection');
    first.server.append(range(1, 4));
    await until(() => heard.seqs.length === 3, 'frames');
    await first.stop();
    const second = await serve(t, socketPath, { next: 4 });
    await until(() => client.connected, 'connection');
    second.server.append(range(4, 6));
    await until(() => heard.seqs.length === 5, 'frames');
    assert.equal(heard.gaps, 0);
  });

  for (const [what, options] of [
    ['the frames are gone', { recent: range(20, 31) }],
    ['the epoch is another', { epoch: 'epoch-b', recent: range(1, 31) }],
  ] as const) {
    it(`says so when ${what}, and goes on`, async (t) => {
      const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
      const first = await serve(t, socketPath);
      const { client, heard } = reader(t, socketPath);
      await until(() => client.connected, 'connection');
      first.server.append(range(1, 11));
      await until(() => heard.seqs.length === 10, 'frames');
      await first.stop();
      const second = await serve(t, socketPath, { ...options });
      await until(() => client.connected && heard.gaps === 1, 'the gap');
      second.server.append(range(31, 34));
      await until(() => heard.seqs.length === 13, 'frames after');
      assert.deepEqual(heard.seqs.slice(10), [31, 32, 33]);
    });
  }

  it('does not grow for a reader that stopped reading, and tells it what it missed', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    const { server, registry } = await serve(t, socketPath, { frames: 100 });
    const slow = connect(socketPath);
    t.after(() => slow.destroy());
    slow.on('error', () => {});
    const hello = Buffer.from('{"version":1}');
    const head = Buffer.from([0, 0, 0, hello.length + 1, 1]);
    slow.write(Buffer.concat([head, hello]));
    await new Promise((resolve) => slow.once('data', resolve));
    slow.pause();
    const brisk = reader(t, socketPath);
    await until(() => brisk.client.connected, 'connection');
    const before = heldBytes();
    const padding = 'x'.repeat(4000);
    for (let seq = 1; seq <= 20_000; seq += 50) {
      server.append(range(seq, seq + 50, { type: 'block', padding }));
      await waitFor(() => brisk.heard.seqs.at(-1) === seq + 49, { what: 'the brisk reader', everyMs: 1 });
    }
    assert.ok(heldBytes() - before < 40_000_000, 'memory grew with the slow reader');
    assert.equal(brisk.heard.gaps, 0);
    assert.ok(contiguous(brisk.heard.seqs));
    let gapSeen = false;
    slow.on('data', (chunk: Buffer) => {
      if (chunk.includes('{"next":')) gapSeen = true;
    });
    slow.resume();
    await until(() => gapSeen, 'the gap');
    assert.match(await registry.metrics(), /teranode_p2p_frame_stream_gaps_total 1/);
  });

  it('drops a stranger that speaks something else, and one that says nothing useful', async (t) => {
    const socketPath = localSocketPath(temporaryDirectory(t), 'frames.sock');
    const { server } = await serve(t, socketPath);
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from([0, 0, 0, 0]),
      Buffer.from([0, 0, 0, 3, 1, 0x7b, 0x7b]),
      Buffer.from([0, 0, 0, 3, 3, 0, 0]),
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
    server.append([frame(1)]);
    await until(() => heard.seqs.length === 1, 'a frame');
    assert.deepEqual(heard.seqs, [1]);
  });
});
