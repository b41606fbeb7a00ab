import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as tick } from 'node:timers/promises';
import type { Stream } from '@libp2p/interface';
import { multiaddrConnectionPair } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { updateWindowsByHalves } from '../../../../src/main/node/patches/window-updates.js';
import { waitFor } from '../../../support/wait.js';

test('window updates go out for half windows, and a stream of many windows still flows', async (context) => {
  const frames = async (patched: boolean) => {
    const [outbound, inbound] = multiaddrConnectionPair();
    const factory = () =>
      yamux({ enableKeepAlive: false, streamOptions: { maxStreamWindowSize: 262_144 } })();
    const sender = factory().createStreamMuxer(outbound as never);
    const receiver = (patched ? updateWindowsByHalves(factory()) : factory()).createStreamMuxer(
      inbound as never,
    );
    context.after(() => Promise.all([sender.close(), receiver.close()]).then(() => undefined));
    let received = 0;
    let sent = 0;
    const send = inbound.send.bind(inbound);
    inbound.send = (data) => {
      sent++;
      return send(data);
    };
    receiver.addEventListener('stream', (({ detail: stream }: { detail: Stream }) => {
      stream.addEventListener('message', ({ data }) => {
        received += data.byteLength;
      });
    }) as never);
    const stream = await sender.createStream();
    const piece = new Uint8Array(1_000);
    for (let count = 0; count < 1_000; count++) {
      if (!stream.send(piece)) await stream.onDrain();
      await tick();
    }
    await waitFor(() => received === 1_000_000, { what: 'a million bytes' });
    return sent;
  };
  const stock = await frames(false);
  const halves = await frames(true);
  assert.ok(stock > halves * 3, `${stock} frames without the patch, ${halves} with it`);
  assert.ok(halves < 20, `${halves} frames for eight half windows`);
});
