import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { Libp2p, Stream } from '@libp2p/interface';
import {
  DIRECT_PROTOCOL,
  DirectStream,
  type DirectStreamOptions,
} from '../../../../src/main/node/protocols/direct-stream.js';
import { createHost, type PeripheryParts, peripheryParts } from '../../../support/host.js';
import { waitFor, within } from '../../../support/wait.js';

const MESSAGES = 'teranode_p2p_node_direct_messages_total';

interface Node {
  readonly host: Libp2p;
  readonly direct: DirectStream;
  readonly parts: PeripheryParts;
  readonly heard: { source: string; text: string }[];
}

async function node(context: TestContext, options: Partial<DirectStreamOptions> = {}): Promise<Node> {
  const host = await createHost(context);
  const parts = peripheryParts();
  const heard: Node['heard'] = [];
  const direct = new DirectStream(
    { libp2p: host, logger: parts.log.logger, metrics: parts.metrics },
    {
      onMessage: ({ source, data }) => heard.push({ source, text: Buffer.from(data).toString() }),
      ...options,
    },
  );
  await direct.start();
  context.after(() => direct.stop());
  return { host, direct, parts, heard };
}

describe('the direct stream', () => {
  it('carries a message each way', async (context) => {
    const one = await node(context);
    const two = await node(context);
    await one.host.dial(two.host.getMultiaddrs());
    await one.direct.sendDirect(two.host.peerId.toString(), Buffer.from('{"PeerId":"one"}'));
    await two.direct.sendDirect(one.host.peerId.toString(), Buffer.from('{"PeerId":"two"}'));
    await waitFor(() => one.heard.length === 1 && two.heard.length === 1, { what: 'both messages' });
    assert.deepEqual(two.heard, [{ source: one.host.peerId.toString(), text: '{"PeerId":"one"}' }]);
    assert.deepEqual(one.heard, [{ source: two.host.peerId.toString(), text: '{"PeerId":"two"}' }]);
    assert.equal(await one.parts.value(MESSAGES, { direction: 'sent', outcome: 'ok' }), 1);
    const open = () =>
      one.host
        .getConnections()
        .flatMap(({ streams }) => streams)
        .filter(({ protocol }) => protocol === DIRECT_PROTOCOL);
    await waitFor(() => open().length === 0, { what: 'the streams to be closed' });
  });

  it('takes 32 KiB and cuts whoever writes more', async (context) => {
    const { host, heard, parts } = await node(context);
    const sender = await createHost(context);
    const connection = await sender.dial(host.getMultiaddrs());
    const whole = await connection.newStream(DIRECT_PROTOCOL);
    whole.send(Buffer.alloc(32 * 1024, 0x61));
    await whole.close();
    await waitFor(() => heard.length === 1, { what: 'the largest message' });
    assert.equal(heard[0]?.text.length, 32 * 1024);
    const large = await connection.newStream(DIRECT_PROTOCOL);
    large.send(Buffer.alloc(32 * 1024 + 1, 0x61));
    await waitFor(() => parts.value(MESSAGES, { outcome: 'oversized' }), { what: 'the cut' });
    await waitFor(() => large.status === 'reset', { what: 'the reset' });
    assert.equal(heard.length, 1);
    assert.equal(connection.status, 'open');
  });

  it('cuts a stream that never ends, and takes nothing from one that is reset', async (context) => {
    const { host, heard, parts } = await node(context, { timeoutMs: 1_500 });
    const sender = await createHost(context);
    const connection = await sender.dial(host.getMultiaddrs());
    const endless = await connection.newStream(DIRECT_PROTOCOL);
    endless.send(Buffer.from('{'));
    await waitFor(() => endless.status === 'reset', { what: 'the reset', timeoutMs: 8_000 });
    const broken = await connection.newStream(DIRECT_PROTOCOL);
    broken.send(Buffer.from('{"half":'));
    broken.abort(new Error('changed my mind'));
    await waitFor(async () => (await parts.value(MESSAGES, { outcome: 'failed' })) === 2, {
      what: 'both failures',
    });
    const empty = await connection.newStream(DIRECT_PROTOCOL);
    await empty.close();
    await waitFor(() => parts.value(MESSAGES, { outcome: 'empty' }), { what: 'the empty one' });
    assert.deepEqual(heard, []);
  });

  it('takes so many messages of a peer, and others meanwhile', async (context) => {
    const { host, heard, parts } = await node(context, { perSecond: 1 });
    const greedy = await node(context);
    const modest = await node(context);
    await greedy.host.dial(host.getMultiaddrs());
    await modest.host.dial(host.getMultiaddrs());
    const target = host.peerId.toString();
    const limited = () => parts.value(MESSAGES, { outcome: 'limited' });
    // Twice the rate at once, and one more before a second makes room for it: on a slow machine not the first time.
    let sent = 0;
    const began = performance.now();
    await waitFor(
      async () => {
        const sends = Array.from({ length: 3 }, () =>
          greedy.direct.sendDirect(target, Buffer.from('greedy')),
        );
        sent += sends.length;
        await Promise.allSettled(sends);
        await waitFor(async () => heard.length + (await limited()) === sent, { what: 'what became of them' });
        return limited();
      },
      { what: 'the limit' },
    );
    const most = 2 + (performance.now() - began) / 1000;
    assert.ok(heard.length >= 2 && heard.length <= most, `${heard.length} of ${most} heard`);
    await modest.direct.sendDirect(target, Buffer.from('modest'));
    await waitFor(() => heard.at(-1)?.text === 'modest', { what: 'the modest one' });
    assert.equal(heard.length + (await limited()), sent + 1);
  });

  it('is there for others while a crowd of peers holds as many half-open streams as it likes', async (context) => {
    // No stream ends by itself, however long the crowd takes to come.
    const { host, heard, parts } = await node(context, {
      perSecond: 1_000,
      silenceMs: 600_000,
      timeoutMs: 600_000,
    });
    const crowd = await Promise.all(Array.from({ length: 17 }, () => createHost(context, { listen: [] })));
    const streams: Stream[] = [];
    for (const peer of crowd) {
      const connection = await peer.dial(host.getMultiaddrs());
      for (let count = 0; count < 4; count++) {
        const stream = await connection.newStream(DIRECT_PROTOCOL);
        // More than nothing: it is at work, as far as anybody can tell.
        stream.send(Buffer.from('{'));
        streams.push(stream);
      }
    }
    const modest = await node(context);
    await modest.host.dial(host.getMultiaddrs());
    for (const text of ['one', 'two', 'three']) {
      await modest.direct.sendDirect(host.peerId.toString(), Buffer.from(text));
    }
    await waitFor(() => heard.length === 3, { what: 'all three messages' });
    assert.ok((await parts.value(MESSAGES, { outcome: 'displaced' })) >= 4);
    // Nobody of the crowd has lost more than was needed.
    assert.ok(streams.filter(({ status }) => status === 'open').length >= 60);
  });

  it('cuts a stream that brings nothing', async (context) => {
    const { host, parts } = await node(context, { silenceMs: 200, timeoutMs: 60_000 });
    const peer = await createHost(context, { listen: [] });
    const connection = await peer.dial(host.getMultiaddrs());
    const stream = await connection.newStream(DIRECT_PROTOCOL);
    await waitFor(() => stream.status === 'reset', { what: 'the reset' });
    assert.equal(await parts.value(MESSAGES, { outcome: 'silent' }), 1);
  });

  it('refuses to send what is too long or to whom it cannot', async (context) => {
    const { direct } = await node(context, { timeoutMs: 1_000 });
    const mute = await createHost(context);
    await assert.rejects(direct.sendDirect('nonsense', Buffer.from('x')), RangeError);
    await assert.rejects(direct.sendDirect(mute.peerId.toString(), Buffer.alloc(32 * 1024 + 1)), RangeError);
    await assert.rejects(
      within(direct.sendDirect(mute.peerId.toString(), Buffer.from('x')), 8_000, 'the failure'),
    );
    const patient = await node(context);
    await patient.host.dial(mute.getMultiaddrs());
    await assert.rejects(patient.direct.sendDirect(mute.peerId.toString(), Buffer.from('x')), {
      name: 'UnsupportedProtocolError',
    });
  });
});
