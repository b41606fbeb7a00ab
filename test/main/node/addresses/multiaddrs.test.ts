import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { multiaddr } from '@multiformats/multiaddr';
import {
  announceFilter,
  announceMultiaddrs,
  listenMultiaddrs,
} from '../../../../src/main/node/addresses/listening.js';
import { isPrivateMultiaddr, multiaddrHost } from '../../../../src/main/node/addresses/multiaddrs.js';
import { settingsOf } from '../../../support/settings.js';

const PEER = '12D3KooWGRUVh6ccszaFZJ1qmuuFHVhxvSqXCPd3JXGqiXMDzTqt';
const filtered = (changes: Parameters<typeof settingsOf>[0], addresses: string[]): string[] =>
  announceFilter(settingsOf(changes))(addresses.map((text) => multiaddr(text))).map(String);

describe('listening addresses', () => {
  it('are every address of the generation’s families unless told', () => {
    assert.deepEqual(listenMultiaddrs(settingsOf()), ['/ip4/0.0.0.0/tcp/9905', '/ip6/::/tcp/9905']);
    assert.deepEqual(listenMultiaddrs(settingsOf({}, 'first')), ['/ip4/0.0.0.0/tcp/9905']);
    assert.deepEqual(listenMultiaddrs(settingsOf({ p2p_ip: '10.0.0.5' }, 'first')), [
      '/ip4/10.0.0.5/tcp/9905',
    ]);
    // Left behind by a file of 2025, which no node of today reads there.
    assert.deepEqual(listenMultiaddrs(settingsOf({ p2p_ip: '10.0.0.5' })), listenMultiaddrs(settingsOf()));
  });

  it('are those listed, at the common port, each once', () => {
    const settings = settingsOf({
      p2p_listen_addresses: ['127.0.0.1', '::1', '0:0:0:0:0:0:0:1', '::ffff:10.0.0.1'],
      p2p_port: 7000,
    });
    assert.deepEqual(listenMultiaddrs(settings), [
      '/ip4/127.0.0.1/tcp/7000',
      '/ip6/::1/tcp/7000',
      '/ip4/10.0.0.1/tcp/7000',
    ]);
  });
});

describe('announced addresses', () => {
  it('are what the operator wrote: address, host, with a port or without, multiaddr', () => {
    const settings = settingsOf({
      p2p_advertise_addresses: [
        '203.0.113.1',
        '203.0.113.2:4001',
        'Node.example.com',
        'node.example.com:4001',
        '2001:db8::1',
        '/dns4/x.example/tcp/1',
        '[::1]:5',
      ],
    });
    assert.deepEqual(announceMultiaddrs(settings), [
      '/ip4/203.0.113.1/tcp/9905',
      '/ip4/203.0.113.2/tcp/4001',
      '/dns4/node.example.com/tcp/9905',
      '/dns4/node.example.com/tcp/4001',
      '/ip6/2001:db8::1/tcp/9905',
      '/dns4/x.example/tcp/1',
      '/ip6/::1/tcp/5',
    ]);
  });

  it('leave out private ones when these are not shared, unless written down', () => {
    const heard = [
      '/ip4/192.168.1.5/tcp/1',
      '/ip4/8.8.8.8/tcp/1',
      '/ip4/127.0.0.1/tcp/1',
      '/ip6/fe80::1/tcp/1',
      '/ip4/0.0.0.0/tcp/1',
    ];
    assert.deepEqual(filtered({ p2p_share_private_addresses: false }, heard), ['/ip4/8.8.8.8/tcp/1']);
    assert.deepEqual(filtered({ p2p_share_private_addresses: true }, heard), heard.slice(0, 4));
    assert.deepEqual(
      filtered({ p2p_share_private_addresses: false, p2p_advertise_addresses: ['/ip4/192.168.1.5/tcp/1'] }, [
        `/ip4/192.168.1.5/tcp/1/p2p/${PEER}`,
        '/ip4/192.168.1.6/tcp/1',
      ]),
      [`/ip4/192.168.1.5/tcp/1/p2p/${PEER}`],
    );
  });

  it('are none in silent mode', () => {
    const silent = { listen_mode: 'silent', p2p_advertise_addresses: ['203.0.113.1'] } as const;
    assert.deepEqual(announceMultiaddrs(settingsOf(silent)), []);
    assert.deepEqual(filtered(silent, ['/ip4/8.8.8.8/tcp/1', '/ip4/203.0.113.1/tcp/9905']), []);
  });
});

describe("a multiaddr's host", () => {
  it('is where one connects to first, in canonical form', () => {
    const host = (text: string) => multiaddrHost(multiaddr(text));
    assert.deepEqual(host('/ip6/::ffff:10.0.0.1/tcp/1'), { kind: 'ip', address: '10.0.0.1' });
    assert.deepEqual(host(`/ip4/8.8.8.8/tcp/1/p2p/${PEER}/p2p-circuit`), { kind: 'ip', address: '8.8.8.8' });
    assert.deepEqual(host('/dns6/x.example/tcp/1'), { kind: 'dns', name: 'x.example', family: 6 });
    assert.deepEqual(host('/ip6zone/eth0/ip6/fe80::1/tcp/1'), { kind: 'ip', address: 'fe80::1' });
    assert.equal(host(`/p2p/${PEER}`), undefined);
    assert.equal(isPrivateMultiaddr(multiaddr('/dns4/localhost/tcp/1')), true);
    assert.equal(isPrivateMultiaddr(multiaddr('/ip6/::ffff:10.0.0.1/tcp/1')), true);
    assert.equal(isPrivateMultiaddr(multiaddr('/dns4/x.example/tcp/1')), false);
  });
});
