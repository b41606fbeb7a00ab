import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { Libp2p } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { createGater, type GaterInit } from '../../../../src/main/node/connections/gater.js';
import type { BanPolicy } from '../../../../src/main/node/types.js';
import { createHost, type PeripheryParts, peripheryParts } from '../../../support/host.js';
import { settingsOf } from '../../../support/settings.js';
import { temporaryDirectory } from '../../../support/temporary.js';
import { waitFor } from '../../../support/wait.js';

class Bans implements BanPolicy {
  readonly addresses = new Set<string>();
  readonly peers = new Set<string>();
  isAddressBanned = (address: string): boolean => this.addresses.has(address);
  isPeerBanned = (peerId: string): boolean => this.peers.has(peerId);
  applicationScore = (): number => 0;
}

const REFUSED = 'teranode_p2p_node_connections_refused_total';

interface Gated {
  readonly host: Libp2p;
  readonly bans: Bans;
  readonly parts: PeripheryParts;
}

async function gatedHost(
  context: TestContext,
  changes: Parameters<typeof settingsOf>[0] = {},
  init: Partial<GaterInit> = {},
  listen?: readonly string[],
): Promise<Gated> {
  const bans = new Bans();
  const parts = peripheryParts();
  const gater = createGater({
    bans,
    settings: settingsOf({ p2p_allow_private_ips: true, ...changes }),
    logger: parts.log.logger,
    metrics: parts.metrics,
    ...init,
  });
  const host = await createHost(context, { gater, ...(listen === undefined ? {} : { listen }) });
  return { host, bans, parts };
}

const dial = (from: Libp2p, to: Libp2p): Promise<unknown> =>
  from.dial(to.getMultiaddrs(), { signal: AbortSignal.timeout(5_000) });

describe('the gater', () => {
  it('refuses a banned address inbound before the handshake, and lets others in', async (context) => {
    const { host, bans, parts } = await gatedHost(context);
    bans.addresses.add('127.0.0.2');
    const banned = await createHost(context, { localAddress: '127.0.0.2', listen: [] });
    const other = await createHost(context, { localAddress: '127.0.0.3', listen: [] });
    await assert.rejects(dial(banned, host));
    await dial(other, host);
    assert.equal(await parts.value(REFUSED, { direction: 'inbound', reason: 'banned_address' }), 1);
    await waitFor(() => host.getPeers().length === 1, { what: 'the other to be there' });
    assert.deepEqual(host.getPeers().map(String), [other.peerId.toString()]);
  });

  it('refuses to dial a socket of this machine that strangers tell of, and does not keep it', async (context) => {
    const { host, parts } = await gatedHost(context);
    let connected = 0;
    const path = join(temporaryDirectory(context), 'local.sock');
    const local = createServer((socket) => {
      connected++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => local.listen(path, resolve));
    context.after(() => local.close());
    const peer = await createHost(context);
    const unix = multiaddr(`/unix/${encodeURIComponent(path)}`);
    await host.peerStore.merge(peer.peerId, { multiaddrs: [unix] });
    assert.deepEqual((await host.peerStore.get(peer.peerId)).addresses, []);
    await assert.rejects(host.dial(unix, { signal: AbortSignal.timeout(5_000) }));
    assert.equal(connected, 0);
    assert.equal(await parts.value(REFUSED, { direction: 'outbound', reason: 'no_host' }), 1);
  });

  it('refuses a banned address of either family outbound, mapped or plain', async (context) => {
    const { host, bans, parts } = await gatedHost(context);
    const four = await createHost(context);
    const six = await createHost(context, { listen: ['/ip6/::1/tcp/0'] });
    bans.addresses.add('127.0.0.1').add('::1');
    const portOf = (target: Libp2p) =>
      target
        .getMultiaddrs()[0]
        ?.getComponents()
        .find(({ name }) => name === 'tcp')?.value;
    const addresses = [
      four.getMultiaddrs()[0],
      six.getMultiaddrs()[0],
      multiaddr(`/ip6/::ffff:127.0.0.1/tcp/${portOf(four)}/p2p/${four.peerId}`),
      multiaddr(`/ip4/127.0.0.1/tcp/${portOf(four)}`),
    ];
    for (const address of addresses) {
      await assert.rejects(host.dial(address!), { name: 'DialDeniedError' }, String(address));
    }
    assert.equal(await parts.value(REFUSED, { direction: 'outbound', reason: 'banned_address' }), 4);
    bans.addresses.clear();
    await host.dial(six.getMultiaddrs()[0]!);
    assert.deepEqual(host.getPeers().map(String), [six.peerId.toString()]);
  });

  it('refuses a name that resolves to a banned address', async (context) => {
    const answers: string[] = ['192.0.2.1', '::ffff:127.0.0.1'];
    const asked: string[] = [];
    const { host, bans } = await gatedHost(
      context,
      {},
      {
        resolve: async (name, family) => {
          asked.push(`${name} ${family}`);
          return answers;
        },
      },
    );
    bans.addresses.add('127.0.0.1');
    await assert.rejects(host.dial(multiaddr('/dns4/bad.example/tcp/9')), { name: 'DialDeniedError' });
    assert.deepEqual(asked, ['bad.example 4']);
  });

  it('judges the address that a name led to in the end', async (context) => {
    // Judged as harmless, connected to loopback: what a name server can do between two questions.
    const { host, bans, parts } = await gatedHost(context, {}, { resolve: async () => ['192.0.2.1'] });
    const target = await createHost(context);
    bans.addresses.add('127.0.0.1');
    const port = target
      .getMultiaddrs()[0]
      ?.getComponents()
      .find(({ name }) => name === 'tcp')?.value;
    await assert.rejects(host.dial(multiaddr(`/dns4/localhost/tcp/${port}/p2p/${target.peerId}`)));
    await assert.rejects(host.dial(multiaddr(`/dns4/localhost/tcp/${port}`)));
    assert.equal(await parts.value(REFUSED, { direction: 'outbound', reason: 'banned_address' }), 2);
    assert.deepEqual(host.getConnections(), []);
  });

  it('refuses a banned peer outbound, and inbound right after the handshake', async (context) => {
    const { host, bans, parts } = await gatedHost(context);
    const peer = await createHost(context);
    bans.peers.add(peer.peerId.toString());
    await assert.rejects(dial(host, peer));
    assert.equal(await parts.value(REFUSED, { direction: 'outbound', reason: 'banned_peer' }), 1);
    // The dialler may believe itself connected for a moment.
    await dial(peer, host).catch(() => {});
    await waitFor(() => parts.value(REFUSED, { direction: 'inbound', reason: 'banned_peer' }), {
      what: 'refusal',
    });
    await waitFor(() => peer.getConnections().length === 0, { what: 'the banned peer to be alone' });
    assert.deepEqual(host.getConnections(), []);
  });

  it('does not dial private addresses unless allowed, configured or listed', async (context) => {
    const target = await createHost(context);
    const address = target.getMultiaddrs()[0]!;
    const strict = await gatedHost(context, { p2p_allow_private_ips: false });
    await assert.rejects(strict.host.dial(address), { name: 'DialDeniedError' });
    assert.equal(await strict.parts.value(REFUSED, { reason: 'private_address' }), 1);
    const named = await gatedHost(
      context,
      { p2p_allow_private_ips: false },
      { resolve: async () => ['10.0.0.1'] },
    );
    await assert.rejects(named.host.dial(multiaddr('/dns4/inside.example/tcp/9')), {
      name: 'DialDeniedError',
    });
    for (const changes of [
      { p2p_allow_private_ips: false, p2p_static_peers: [address.toString()] },
      { p2p_allow_private_ips: false, p2p_allowed_addresses: ['127.0.0.0/8'] },
      { p2p_allow_private_ips: true },
    ]) {
      const { host } = await gatedHost(context, changes);
      await host.dial(address);
      assert.equal(host.getPeers().length, 1, JSON.stringify(changes));
    }
  });

  it('with reserved addresses refused dials none of them, private ones allowed or not, unless configured or listed', async (context) => {
    const reserved = [
      '100.64.0.1',
      '192.0.0.8',
      '198.18.0.1',
      '198.19.255.254',
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
    ];
    const peer = await createHost(context);
    const told = async (changes: Parameters<typeof settingsOf>[0], address: string): Promise<number> => {
      const { host } = await gatedHost(context, changes);
      await host.peerStore.merge(peer.peerId, { multiaddrs: [multiaddr(`/ip4/${address}/tcp/9905`)] });
      return (await host.peerStore.get(peer.peerId)).addresses.length;
    };
    const strict = await gatedHost(context, { p2p_refuse_reserved_addresses: true });
    for (const address of reserved) {
      await assert.rejects(
        strict.host.dial(multiaddr(`/ip4/${address}/tcp/9905`)),
        { name: 'DialDeniedError' },
        address,
      );
      assert.equal(await told({ p2p_refuse_reserved_addresses: true }, address), 0, address);
      assert.equal(await told({}, address), 1, `${address} as today`);
    }
    assert.equal(await strict.parts.value(REFUSED, { reason: 'reserved_address' }), reserved.length);
    await assert.rejects(strict.host.dial(multiaddr('/ip6/ff02::1/tcp/9905')), { name: 'DialDeniedError' });
    assert.equal(await told({ p2p_refuse_reserved_addresses: true }, '10.0.0.1'), 1);
    const listed = { p2p_refuse_reserved_addresses: true, p2p_allowed_addresses: ['198.18.0.0/15'] };
    assert.equal(await told(listed, '198.18.0.1'), 1);
    const named = `/ip4/100.64.0.1/tcp/9905/p2p/${peer.peerId}`;
    assert.equal(
      await told({ p2p_refuse_reserved_addresses: true, p2p_static_peers: [named] }, '100.64.0.1'),
      1,
    );
  });

  it('keeps at most so many inbound connections of one address, and counts the closed ones out', async (context) => {
    const { host, parts } = await gatedHost(
      context,
      { p2p_connections_per_address: 2, p2p_inbound_connections_per_second: 100 },
      { exemptLoopback: false },
    );
    const crowd = await Promise.all(
      Array.from({ length: 3 }, () => createHost(context, { localAddress: '127.0.0.4', listen: [] })),
    );
    await dial(crowd[0]!, host);
    await dial(crowd[1]!, host);
    await assert.rejects(dial(crowd[2]!, host));
    assert.equal(await parts.value(REFUSED, { reason: 'address_connections' }), 1);
    const neighbour = await createHost(context, { localAddress: '127.0.0.5', listen: [] });
    await dial(neighbour, host);
    await waitFor(() => host.getConnections().length === 3, { what: 'three to be there' });
    await crowd[0]!.stop();
    await waitFor(() => host.getConnections().length === 2, { what: 'the first to be gone' });
    await dial(crowd[2]!, host);
    await waitFor(() => host.getConnections().length === 3, { what: 'the third to be there' });
    assert.equal(await parts.value(REFUSED), 1);
  });

  it('lets one address in only so often, the listed and loopback as they like', async (context) => {
    const changes = { p2p_connections_per_address: 100, p2p_inbound_connections_per_second: 1 };
    const limited = await gatedHost(
      context,
      { ...changes, p2p_allowed_addresses: ['127.0.0.6'] },
      { exemptLoopback: false },
    );
    const free = await gatedHost(context, changes);
    // Two at once, from hosts that are there already: within the second, also on a busy machine.
    const twoVisit = async (from: string, to: Libp2p): Promise<string[]> => {
      const options = { localAddress: from, listen: [] };
      const visitors = [await createHost(context, options), await createHost(context, options)];
      const visits = await Promise.allSettled(visitors.map((visitor) => dial(visitor, to)));
      return visits.map(({ status }) => status).sort();
    };
    assert.deepEqual(await twoVisit('127.0.0.4', limited.host), ['fulfilled', 'rejected']);
    assert.equal(await limited.parts.value(REFUSED, { reason: 'address_rate' }), 1);
    for (const [from, host] of [
      ['127.0.0.6', limited.host],
      ['127.0.0.4', free.host],
    ] as const) {
      assert.deepEqual(await twoVisit(from, host), ['fulfilled', 'fulfilled'], from);
    }
    assert.equal(await free.parts.value(REFUSED), 0);
  });

  it('does not let peers put private addresses into the peer store', async (context) => {
    const { host } = await gatedHost(context, { p2p_allow_private_ips: false });
    const other = await createHost(context);
    await host.peerStore.merge(other.peerId, {
      multiaddrs: [
        multiaddr('/ip4/10.0.0.1/tcp/1'),
        multiaddr('/ip4/8.8.8.8/tcp/1'),
        multiaddr('/dns4/x.example/tcp/1'),
      ],
    });
    const { addresses } = await host.peerStore.get(other.peerId);
    assert.deepEqual(addresses.map((known) => known.multiaddr.toString()).sort(), [
      '/dns4/x.example/tcp/1',
      '/ip4/8.8.8.8/tcp/1',
    ]);
  });

  it('does not start with an exemption that is no address', () => {
    assert.throws(
      () =>
        createGater({
          bans: new Bans(),
          settings: settingsOf({ p2p_allowed_addresses: ['nonsense'] }),
          logger: peripheryParts().log.logger,
          metrics: peripheryParts().metrics,
        }),
      /nonsense/,
    );
  });
});
