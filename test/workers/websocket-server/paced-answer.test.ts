import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import { PacedAnswer } from '../../../src/workers/websocket-server/api/paced-answer.js';
import { TRANSPORTS } from '../../support/notifications.js';
import { openTransport, streaming } from '../../support/transport.js';
import { waitFor } from '../../support/wait.js';

describe('an answer at the speed of its client', () => {
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
