import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlagError, serviceWish } from '../../../src/main/cli/service-flags.js';

test('the P2P service is started by its flag, in every form that Go reads', () => {
  for (const arg of [
    '-p2p=1',
    '-p2p',
    '--p2p',
    '--p2p=1',
    '-p2p=true',
    '-p2p=T',
    '-p2p=TRUE',
    '-p2p=t',
    '-p2p=True',
  ])
    assert.equal(serviceWish([arg]), 'start', arg);
  assert.equal(serviceWish(['-p2p=0', '-p2p=1']), 'start', 'the last one counts');
});

test('flags that switch others off, or wait for what this server waits for anyway, change nothing', () => {
  assert.equal(serviceWish(['-all=0', '-p2p=1']), 'start');
  assert.equal(serviceWish(['-p2p=1', '-blockchain=false', '--asset=0', '-wait_for_postgres=1']), 'start');
});

test('another service is refused by its flag, alone and beside the P2P service, with what this is', () => {
  for (const args of [
    ['-blockchain=1'],
    ['-p2p=1', '-legacy'],
    ['--rpc=true', '-p2p'],
    ['-all=1'],
    ['-new-service=1'],
  ]) {
    assert.throws(
      () => serviceWish(args),
      (error) =>
        error instanceof FlagError &&
        /^-[\w-]+ is not to be had here: this is the P2P service alone/.test(error.message),
      args.join(' '),
    );
  }
});

test('what asks for nothing, or is no flag, is refused', () => {
  for (const args of [
    [],
    ['-p2p=0'],
    ['-blockchain=0'],
    ['-p2p=maybe'],
    ['-p2p='],
    ['p2p=1'],
    ['-p2p', '1'],
    ['-'],
    ['--'],
    ['---p2p'],
    ['-=1'],
  ])
    assert.throws(() => serviceWish(args), FlagError, args.join(' '));
});

test('help and version are to be had', () => {
  for (const arg of ['-help=1', '-help', '--help', '-h']) assert.equal(serviceWish([arg]), 'help', arg);
  for (const arg of ['-version', '-v', '-version=1']) assert.equal(serviceWish([arg]), 'version', arg);
});
