import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ClientSocket } from '../../../src/workers/websocket-server/client.js';
import { Pings } from '../../../src/workers/websocket-server/pings.js';
import { listen, serveNotifications, TRANSPORTS } from '../../support/notifications.js';
import type { SettingChanges } from '../../support/settings.js';
import { hear, openTransport } from '../../support/transport.js';
import { waitFor } from '../../support/wait.js';

const pings = (frames: readonly Record<string, unknown>[]) => frames.filter(({ type }) => type === 'PING');

describe('text pings', () => {
  it('come every 10 s with URL and peer, unless the setting says no', async (t) => {
    const serve = (changes: SettingChanges) =>
      serveNotifications(t, { p2p_notification_servers: 1, p2p_websocket_text_ping: true, ...changes });
    const [on, off, old] = await Promise.all([
      serve({}),
      serve({ p2p_websocket_text_ping: false }),
      serve({ p2p_generation: 'first' }),
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

describe('pings', () => {
  it('find who has not read what they carry, whatever else it sends', (t) => {
    t.mock.timers.enable({ apis: ['setInterval'] });
    const clients: ClientSocket[] = [];
    const silent: ClientSocket[] = [];
    const pings = new Pings({
      clients,
      silent: (socket) => silent.push(socket),
      textPing: undefined,
      sendText: () => {},
    });
    pings.start();
    t.after(() => pings.stop());
    const client = () => {
      const carried: Buffer[] = [];
      const socket = {
        data: { phase: pings.phase(), challenge: undefined },
        ping: (payload: Uint8Array) => carried.push(Buffer.from(payload)),
      } as unknown as ClientSocket;
      clients.push(socket);
      return { socket, carried };
    };
    const [reads, forges] = [client(), client()];
    const period = () => {
      for (let second = 0; second < 54; second++) t.mock.timers.tick(1000);
    };
    period();
    const [asked] = reads.carried;
    assert.ok(asked !== undefined && forges.carried[0] !== undefined);
    assert.notDeepEqual(asked, forges.carried[0]);
    assert.equal(pings.answers(reads.socket, asked), true);
    assert.equal(pings.answers(reads.socket, asked), false, 'a second time it is a heartbeat');
    for (const made of [Buffer.alloc(0), Buffer.alloc(asked.length), asked])
      assert.equal(pings.answers(forges.socket, made), false);
    assert.deepEqual(silent, []);
    period();
    assert.deepEqual(silent, [forges.socket]);
    assert.equal(reads.carried.length, 2);
    assert.notDeepEqual(reads.carried[1], asked);
  });

  for (const transport of TRANSPORTS)
    it(`carry what a pong brings back: ${transport}`, async (t) => {
      const ponged: string[] = [];
      const opened = await openTransport(t, transport, {
        pong: (_socket, payload) => ponged.push(Buffer.from(payload).toString()),
      });
      const { socket } = await hear(t, opened);
      opened.sockets[0]?.ping(Buffer.from('carried'));
      await waitFor(() => ponged.length === 1, { what: 'the answer' });
      socket.pong('of its own');
      socket.pong();
      await waitFor(() => ponged.length === 3, { what: 'what was not asked for' });
      assert.deepEqual(ponged, ['carried', 'of its own', '']);
    });
});
