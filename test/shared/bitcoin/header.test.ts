import assert from 'node:assert/strict';
import { test } from 'node:test';
import { genesisHeader } from '../../../src/main/chain/genesis.js';
import {
  headerHash,
  meetsTarget,
  parseHeader,
  serialiseHeader,
  targetOfBits,
  workFromBytes,
  workOfTarget,
  workToBytes,
} from '../../../src/shared/bitcoin/header.js';

test('the first blocks of the networks have the hashes that everybody knows', () => {
  assert.equal(
    headerHash(genesisHeader('mainnet')),
    '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
  );
  assert.equal(
    headerHash(genesisHeader('testnet')),
    '000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943',
  );
  assert.equal(
    headerHash(genesisHeader('regtest')),
    '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
  );
});

test('the first block of each network meets its own target', () => {
  for (const network of ['mainnet', 'testnet', 'teratestnet', 'tstn', 'regtest'] as const) {
    const header = genesisHeader(network);
    const target = targetOfBits(parseHeader(header).bits);
    assert.ok(meetsTarget(headerHash(header), target), network);
  }
});

test('a header survives being read and written', () => {
  const header = genesisHeader('mainnet');
  assert.deepEqual(Buffer.from(serialiseHeader(parseHeader(header))), Buffer.from(header));
  assert.equal(parseHeader(header).nonce, 2_083_236_893);
});

test('a header of another length is refused', () => {
  assert.throws(() => parseHeader(new Uint8Array(79)), RangeError);
  assert.throws(() => parseHeader(new Uint8Array(81)), RangeError);
});

test('compact targets are read as the node software reads them', () => {
  assert.equal(targetOfBits(0x1d00ffff), 0xffffn << 208n);
  assert.equal(targetOfBits(0x207fffff), 0x7fffffn << 232n);
  assert.equal(targetOfBits(0x03123456), 0x123456n);
  assert.equal(targetOfBits(0x01120000), 0x12n);
  assert.equal(targetOfBits(0x04923456), 0n, 'negative');
  assert.equal(targetOfBits(0x1d000000), 0n, 'zero');
  assert.equal(targetOfBits(0xff7fffff), 0n, 'past 256 bits');
  assert.equal(meetsTarget(headerHash(genesisHeader('regtest')), 0n), false);
});

test('work is the number of hashes a target takes, and survives as bytes', () => {
  assert.equal(workOfTarget(targetOfBits(0x1d00ffff)), 0x100010001n);
  assert.equal(workOfTarget(targetOfBits(0x207fffff)), 2n);
  assert.equal(workOfTarget(0n), 0n);
  assert.equal(workFromBytes(workToBytes(123456789n << 100n)), 123456789n << 100n);
  assert.equal(workFromBytes(new Uint8Array(0)), 0n);
});
