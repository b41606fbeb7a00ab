import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesToWords, parseAddressWords } from '../../../src/main/bans/address-words.js';
import { ExpiryQueue } from '../../../src/main/bans/expiry-queue.js';
import { NetworkSet } from '../../../src/main/bans/network-set.js';
import { PrefixTable } from '../../../src/main/bans/prefix-table.js';
import { AddressList, ipBytes, parseSubnet, type Subnet } from '../../../src/shared/net/ip.js';
import { randomNumbers } from '../../support/random.js';

/** Repeatable whole numbers below `bound`. */
function numbers(seed: number): (bound: number) => number {
  const random = randomNumbers(seed);
  return (bound) => Math.floor(random() * bound);
}

test('the fast parser agrees with the general one, on addresses and on near misses', () => {
  const random = numbers(1);
  const texts = [
    '::',
    '::1',
    '1::',
    '1:2:3:4:5:6:7::',
    '::2:3:4:5:6:7:8',
    '1::8',
    '::ffff:1.2.3.4',
    '::1.2.3.4',
    '[::1]',
  ];
  texts.push(
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    ':1',
    '1:',
    ':::',
    '12345::',
    '1:2:3:4:5:6:7:8::',
    'g::',
  );
  texts.push(
    '0.0.0.0',
    '255.255.255.255',
    '1.2.3',
    '1.2.3.4.',
    '.1.2.3',
    '01.2.3.4',
    '1..2.3',
    '1.2.3.256',
    '1.2.3.4 ',
    '-1.2.3.4',
  );
  for (let index = 0; index < 3000; index++) {
    const alphabet = index % 2 === 0 ? '0123456789.' : '0123456789abcdefF::::.%';
    const length = 2 + random(24);
    texts.push(Array.from({ length }, () => alphabet[random(alphabet.length)]).join(''));
    texts.push(
      Array.from({ length: 8 }, () => (random(3) === 0 ? '0' : random(65_536).toString(16))).join(':'),
    );
    texts.push([random(256), random(256), random(300), random(256)].join('.'));
  }
  const words = new Uint32Array(4);
  const expected = new Uint32Array(4);
  for (const text of texts) {
    const bytes = ipBytes(text);
    const family = parseAddressWords(text, words);
    assert.equal(family, bytes === undefined ? 0 : bytes.length === 4 ? 4 : 6, text);
    if (bytes === undefined) continue;
    bytesToWords(bytes, expected);
    const count = family === 4 ? 1 : 4;
    assert.deepEqual([...words.subarray(0, count)], [...expected.subarray(0, count)], text);
  }
});

test('a banned IPv4 subnet holds its addresses in every IPv4-mapped spelling', () => {
  const networks = new NetworkSet();
  networks.set(parseSubnet('192.0.2.0/24') as Subnet, Number.POSITIVE_INFINITY);
  for (const inside of ['192.0.2.7', '::ffff:192.0.2.7', '::ffff:c000:207', '0:0:0:0:0:FFFF:C000:0207']) {
    assert.equal(networks.covers(inside, 0), true, inside);
  }
  for (const outside of ['192.0.3.7', '::ffff:c000:307', '::c000:207', '::fffe:c000:207']) {
    assert.equal(networks.covers(outside, 0), false, outside);
  }
});

test('a table of networks holds what a Map would through thousands of changes', () => {
  for (const size of [1, 4] as const) {
    const table = new PrefixTable(size);
    const model = new Map<string, number>();
    const random = numbers(size);
    for (let step = 0; step < 20_000; step++) {
      const key = Uint32Array.from({ length: 4 }, (_, index) => (index < size ? random(12) * 0x11111111 : 0));
      const name = key.subarray(0, size).join();
      // Growing first, shrinking later.
      if (random(20_000) > step) {
        table.set(key, step + 1);
        model.set(name, step + 1);
      } else {
        table.delete(key);
        model.delete(name);
      }
      assert.equal(table.until(key), model.get(name) ?? 0);
    }
    assert.equal(table.size, model.size);
    for (const [name, until] of model) {
      assert.equal(table.until(Uint32Array.from(name.split(',').map(Number))), until);
    }
  }
});

test('a set of subnets answers as walking them all would', () => {
  const random = numbers(3);
  const address = (bits: number) =>
    bits === 32
      ? [10, random(4), random(4), random(256)].join('.')
      : `2001:db8:${random(4)}:${random(4)}::${random(5).toString(16)}`;
  const set = new NetworkSet();
  const subnets: Subnet[] = [];
  for (let index = 0; index < 300; index++) {
    const bits = index % 2 === 0 ? 32 : 128;
    const subnet = parseSubnet(`${address(bits)}/${bits - random(bits === 32 ? 12 : 70)}`) as Subnet;
    subnets.push(subnet);
    set.set(subnet, 100);
  }
  for (const subnet of subnets.splice(0, 220)) {
    set.delete(subnet);
    for (let index = subnets.length - 1; index >= 0; index--) {
      if (subnets[index]?.cidr === subnet.cidr) subnets.splice(index, 1);
    }
  }
  let banned = 0;
  for (let index = 0; index < 4000; index++) {
    const text = address(index % 2 === 0 ? 32 : 128);
    const expected = new AddressList(subnets.map(({ cidr }) => cidr)).has(text);
    assert.equal(set.covers(text, 99), expected, text);
    assert.equal(set.covers(text, 100), false, 'expired');
    if (expected) banned++;
  }
  assert.ok(banned > 100 && banned < 3900, `${banned} of 4000 banned tells something`);
});

test('the expiry queue gives the soonest first', () => {
  const queue = new ExpiryQueue();
  const random = numbers(4);
  const times = Array.from({ length: 2000 }, () => random(500));
  for (const time of times) queue.push(`key ${time}`, time);
  const popped: number[] = [];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    assert.equal(next.key, `key ${next.time}`);
    popped.push(next.time);
  }
  assert.deepEqual(
    popped,
    times.sort((one, other) => one - other),
  );
  assert.equal(queue.soonest, Number.POSITIVE_INFINITY);
});
