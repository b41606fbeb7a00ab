import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { QUEUES } from '../../../src/shared/queues.js';
import { PacedAnswer } from '../../../src/workers/websocket-server/api/paced-answer.js';
import { TRANSPORTS } from '../../support/notifications.js';
import { openTransport, streaming } from '../../support/transport.js';
import { waitFor } from '../../support/wait.js';

const LENGTH = 8_000_000;

describe('an answer at the speed of its client', () => {
  for (const transport of TRANSPORTS)
    it(`tells whether it ended whole, was cut, was left, or was taken too slowly: ${transport}`, async (t) => {
      const told = new Map<string, boolean>();
      const answers = new Map<string, PacedAnswer>();
      const opened = await openTransport(t, transport, {
        request: streaming(({ query }) => ({
          length: LENGTH,
          stream: (out) => {
            const answer = new PacedAnswer(out, (whole) => told.set(query, whole));
            answers.set(query, answer);
          },
        })),
      });
      t.mock.timers.enable({ apis: ['setInterval'] });
      const ask = async (query: string) => {
        const socket = connect(opened.port, '127.0.0.1');
        t.after(() => socket.destroy());
        socket.on('error', () => {});
        socket.write(`GET /stream?${query} HTTP/1.1\r\nhost: a\r\n\r\n`);
        const answer = await waitFor(() => answers.get(query), { what: 'the request' });
        return { socket, answer };
      };
      const whole = await ask('whole');
      whole.socket.resume();
      await whole.answer.write(Buffer.alloc(LENGTH));
      whole.answer.end();
      const cut = await ask('cut');
      await cut.answer.write(Buffer.alloc(10));
      cut.answer.cut();
      const left = await ask('left');
      await left.answer.write(Buffer.alloc(10));
      left.socket.destroy();
      const slow = await ask('slow');
      void slow.answer.write(Buffer.alloc(LENGTH));
      const later = process.hrtime.bigint() + BigInt(1000 * QUEUES.transfers.bounds.graceMs * 1e6);
      const clock = t.mock.method(process.hrtime, 'bigint', () => later);
      t.mock.timers.tick(10_000);
      clock.mock.restore();
      await waitFor(() => told.size === 4, { what: 'all to be over' });
      assert.deepEqual(Object.fromEntries(told), { whole: true, cut: false, left: false, slow: false });
    });

  for (const transport of TRANSPORTS)
    it(`leaves nothing behind where its client goes before the first bytes: ${transport}`, async (t) => {
      let answer: PacedAnswer | undefined;
      const opened = await openTransport(t, transport, {
        request: streaming(() => ({
          stream: (out) => {
            answer = new PacedAnswer(out, () => {});
          },
        })),
      });
      const socket = connect(opened.port, '127.0.0.1');
      t.after(() => socket.destroy());
      socket.write('GET /stream HTTP/1.1\r\nhost: a\r\n\r\n');
      await waitFor(() => answer !== undefined, { what: 'the request' });
      socket.destroy();
      await waitFor(() => answer?.over, { what: 'its end' });
      const { mock } = t.mock.method(globalThis, 'setInterval');
      await answer?.write(Buffer.alloc(1_000_000));
      assert.equal(mock.callCount(), 0, 'nobody would stop it');
    });
});
