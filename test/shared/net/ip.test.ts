import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  AddressList,
  addressScope,
  canonicalIp,
  isLoopbackAddress,
  isPrivateAddress,
  isPrivateHost,
  parseSubnet,
} from '../../../src/shared/net/ip.js';

describe('IP addresses', () => {
  it('have one canonical form', () => {
    assert.equal(canonicalIp('192.0.2.1'), '192.0.2.1');
    assert.equal(canonicalIp('2001:DB8:0:0:0:0:0:1'), '2001:db8::1');
    assert.equal(canonicalIp('[2001:db8::1]'), '2001:db8::1');
    assert.equal(canonicalIp('::ffff:192.0.2.1'), '192.0.2.1');
    assert.equal(canonicalIp('::ffff:c000:201'), '192.0.2.1');
    assert.equal(canonicalIp('fe80::1%eth0'), 'fe80::1');
  });

  it('are not guessed from other text', () => {
    for (const text of [
      '',
      '127.1',
      '0x7f.1',
      '010.0.0.1',
      '2130706433',
      'localhost',
      '1.2.3.4.5',
      ' 1.2.3.4',
      ':::',
    ]) {
      assert.equal(canonicalIp(text), undefined, text);
      assert.equal(isPrivateAddress(text), false, text);
    }
    assert.equal(canonicalIp(`fe80::1%${'x'.repeat(1000)}`), undefined);
  });

  it('are known as private, loopback or public, also in disguise', () => {
    const scopes: [string, string][] = [
      ['8.8.8.8', 'public'],
      ['2606:4700::1111', 'public'],
      ['10.1.2.3', 'private'],
      ['172.31.255.255', 'private'],
      ['172.32.0.1', 'public'],
      ['192.168.0.1', 'private'],
      ['100.64.0.1', 'private'],
      ['fd00::1', 'private'],
      ['127.8.9.10', 'loopback'],
      ['::1', 'loopback'],
      ['::ffff:127.0.0.1', 'loopback'],
      ['169.254.1.1', 'link-local'],
      ['fe80::1', 'link-local'],
      ['0.0.0.0', 'unspecified'],
      ['::', 'unspecified'],
      ['224.0.0.1', 'multicast'],
      ['203.0.113.9', 'other'],
      ['64:ff9b::7f00:1', 'loopback'],
      ['64:ff9b::808:808', 'public'],
      ['2002:0a00:0001::1', 'private'],
      ['::127.0.0.1', 'loopback'],
      ['::ffff:0:10.0.0.1', 'private'],
    ];
    for (const [text, scope] of scopes) assert.equal(addressScope(text), scope, text);
    assert.equal(isLoopbackAddress('127.0.0.1'), true);
    assert.equal(isPrivateAddress('0.0.0.0'), true);
    assert.equal(isPrivateAddress('203.0.113.9'), false);
    assert.equal(isPrivateHost('LocalHost.'), true);
    assert.equal(isPrivateHost('a.localhost'), true);
    assert.equal(isPrivateHost('[::1]'), true);
    assert.equal(isPrivateHost('localhost.example.com'), false);
  });

  it('lie in subnets, in either family and mapped', () => {
    assert.equal(parseSubnet('10.1.2.3/8')?.cidr, '10.0.0.0/8');
    assert.equal(parseSubnet('10.1.2.3')?.cidr, '10.1.2.3/32');
    assert.equal(parseSubnet('2001:db8::ffff/33')?.cidr, '2001:db8::/33');
    assert.equal(parseSubnet('::ffff:10.0.0.0/104')?.cidr, '10.0.0.0/8');
    assert.equal(parseSubnet('::ffff:10.0.0.0/90')?.family, 6);
    assert.equal(parseSubnet('0.0.0.0/0')?.cidr, '0.0.0.0/0');
    for (const bad of [
      '10.0.0.0/33',
      '10.0.0.0/',
      '10.0.0.0/-1',
      '::/129',
      '/8',
      'x/8',
      '10.0.0.0/8/8',
      '10.0.0.0/ 8',
    ]) {
      assert.equal(parseSubnet(bad), undefined, bad);
    }
    const subnet = parseSubnet('192.168.4.0/22')!;
    assert.equal(new AddressList([subnet.cidr]).has('192.168.7.255'), true);
    assert.equal(new AddressList([subnet.cidr]).has('192.168.8.0'), false);
    assert.equal(new AddressList([subnet.cidr]).has('::ffff:192.168.5.1'), true);
    assert.equal(new AddressList(['2001:db8::/33']).has('2001:db8:7fff::1'), true);
    assert.equal(new AddressList(['2001:db8::/33']).has('2001:db8:8000::1'), false);
    assert.equal(new AddressList(['::/0']).has('10.0.0.1'), false);
  });

  it('are found in a list of addresses and subnets', () => {
    const list = new AddressList(['10.0.0.0/8', '2001:db8::1']);
    assert.equal(list.has('10.255.0.1'), true);
    assert.equal(list.has('2001:db8::1'), true);
    assert.equal(list.has('2001:db8::2'), false);
    assert.equal(new AddressList([]).has('10.0.0.1'), false);
    assert.throws(() => new AddressList(['10.0.0.0/8', 'nonsense']), /not an address or subnet: nonsense/);
  });
});
