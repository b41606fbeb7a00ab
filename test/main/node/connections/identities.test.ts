import assert from 'node:assert/strict';
import { test } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import { Identities } from '../../../../src/main/node/connections/identities.js';
import { createHost } from '../../../support/host.js';
import { createTestNode } from '../../../support/node.js';
import { waitFor } from '../../../support/wait.js';

const told = (host: unknown, detail: object) =>
  (host as { components: { events: EventTarget } }).components.events.dispatchEvent(
    new CustomEvent('peer:identify', { detail }),
  );

test('what a peer calls itself is remembered while it is connected, however late it is told', async (context) => {
  const host = await createHost(context);
  const other = await createHost(context, { listen: [] });
  const identities = new Identities();
  identities.watch(host);
  const connection = await other.dial(host.getMultiaddrs());
  const id = other.peerId.toString();
  await waitFor(() => identities.of(id).agent.includes('js-libp2p'), { what: 'its agent' });
  // A push may tell a part.
  told(host, { peerId: other.peerId, protocolVersion: `mine${'x'.repeat(1_000)}` });
  assert.equal(identities.of(id).protocolVersion.length, 256);
  assert.match(identities.of(id).agent, /js-libp2p/);

  await connection.close();
  await waitFor(() => host.getPeers().length === 0, { what: 'it to leave' });
  assert.equal(identities.size, 0);
  told(host, { peerId: other.peerId, agentVersion: 'late', protocolVersion: 'late' });
  assert.equal(identities.size, 0);
  assert.deepEqual(identities.of(id), { agent: '', protocolVersion: '' });
});

test('who comes and goes while it is being identified leaves nothing behind', async (context) => {
  const { node, address } = await createTestNode(context);
  const host = node.inspect().host!;
  let late = 0;
  host.addEventListener('peer:identify', ({ detail }) => {
    if (host.getConnections(detail.peerId).length === 0) late++;
  });
  const { identities } = node.inspect().connections;
  // As soon as it has told, it is gone: what it told is still being checked and written then.
  for (let count = 0; late < 3 && count < 200; count++) {
    const hasty = await createHost(context, { listen: [] });
    const connection = await hasty.dial(multiaddr(address));
    const answered = () =>
      connection.streams.some(
        ({ protocol, direction, writeStatus }) =>
          protocol === '/ipfs/id/1.0.0' && direction === 'inbound' && writeStatus !== 'writable',
      );
    await waitFor(() => answered() || connection.status !== 'open', {
      everyMs: 1,
      timeoutMs: 2_000,
    }).catch(() => {});
    connection.abort(new Error('gone'));
    await hasty.stop();
  }
  await waitFor(() => node.peers().length === 0, { what: 'all to be gone' });
  await waitFor(() => identities.size === 0, { what: 'nothing to be remembered' });
  assert.ok(late > 0, 'none was told of too late');
});
