import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { listen, serveNotifications } from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const pings = (frames: readonly Record<string, unknown>[]) => frames.filter(({ type }) => type === 'PING');

describe('text pings', () => {
  it('come every 10 s with URL and peer, unless the setting says no', async (t) => {
    const [on, off, old] = await Promise.all([
      serveNotifications(t, { p2p_notification_servers: 1 }),
      serveNotifications(t, { p2p_notification_servers: 1, p2p_websocket_text_ping: false }),
      serveNotifications(t, { p2p_notification_servers: 1, p2p_generation: 'first' }),
    ]);
    const [pinged, quiet, first] = await Promise.all([
      listen(t, on.url),
      listen(t, off.url),
      listen(t, old.url),
    ]);
    await waitFor(() => [pinged, first].every(({ frames }) => pings(frames).length > 0), {
      what: 'a ping of each generation',
      timeoutMs: 20_000,
      everyMs: 50,
    });
    const [ping] = pings(pinged.frames);
    assert.match(String(ping?.timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.deepEqual(Object.keys(ping ?? {}), ['timestamp', 'type', 'base_url', 'peer_id', 'best_height']);
    const [early] = pings(first.frames);
    assert.deepEqual(Object.keys(early ?? {}), ['timestamp', 'type', 'base_url', 'peer_id']);
    assert.deepEqual([ping?.base_url, ping?.peer_id], ['http://me', 'me']);
    assert.equal(pings(quiet.frames).length, 0);
  });
});
