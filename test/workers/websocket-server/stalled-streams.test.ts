import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { TRANSPORTS } from '../../support/notifications.js';
import { get, openTransport, streaming } from '../../support/transport.js';
import { waitFor } from '../../support/wait.js';

describe('an answer that goes on', { concurrency: true }, () => {
  for (const transport of TRANSPORTS)
    for (const told of [true, false])
      it(`is cut where nothing of what waits is taken, not where nothing waits: ${transport}, ${told ? 'with a length' : 'in chunks'}`, async (t) => {
        const over: string[] = [];
        const opened = await openTransport(t, transport, {
          request: streaming(({ query }) => ({
            ...(told ? { length: 1e9 } : {}),
            stream: (out) => {
              out.onClose(() => over.push(query));
              out.write(Buffer.from('begins'));
              // More than the system takes for who does not read.
              if (query === 'much') for (let part = 0; part < 64; part++) out.write(Buffer.alloc(1e6));
            },
          })),
        });
        const quiet = await get(t, opened, { path: '/stream?quiet' });
        const stalled = await get(t, opened, { path: '/stream?much' });
        stalled.response.pause();
        await waitFor(() => over.length > 0, { what: 'the end of who takes nothing', timeoutMs: 60_000 });
        assert.deepEqual(over, ['much']);
        assert.equal(quiet.gone, false);
      });
});
