import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlagError, type ServiceWish, serviceWish } from '../../../src/main/cli/service-flags.js';

const wish = (...args: string[]): ServiceWish['wish'] => serviceWish(args).wish;

test('the P2P service is started by its flag, wherever it stands', () => {
  for (const arg of ['-p2p=1', '-p2p', '--p2p', '--p2p=1', '-p2p=true'])
    assert.equal(wish(arg), 'start', arg);
  assert.equal(wish('-p2p=0', '-p2p=1'), 'start');
  assert.equal(wish('-p2p=1', '-p2p=0'), 'start');
});

test('what Teranode’s own compose files give its P2P service beside the flag changes nothing', () => {
  assert.deepEqual(serviceWish(['-all=0', '-p2p=1', '-localTestStartFromState=RUNNING']), {
    wish: 'start',
    passedOver: ['-localTestStartFromState=RUNNING'],
  });
  assert.deepEqual(serviceWish(['-wait_for_postgres=1', '-p2p=1', '-blockchain=false', '--asset=0']), {
    wish: 'start',
    passedOver: [],
  });
});

test('what Teranode’s program does not look for is passed over, and named', () => {
  const strange = [
    '-new-service=1',
    '-all=1',
    '-p2p=maybe',
    '-asset=maybe',
    'p2p=1',
    '1',
    '-',
    '--',
    '---p2p',
  ];
  assert.deepEqual(serviceWish(['-p2p', ...strange]), { wish: 'start', passedOver: strange });
});

test('another service is refused by its flag, alone and beside the P2P service, with what this is', () => {
  for (const args of [['-blockchain=1'], ['-p2p=1', '-legacy'], ['--rpc=true', '-p2p'], ['-pruner=1']]) {
    assert.throws(
      () => serviceWish(args),
      (error) =>
        error instanceof FlagError &&
        /^-[\w-]+ is not to be had here: this is the P2P service alone/.test(error.message),
      args.join(' '),
    );
  }
});

test('what asks for nothing is refused', () => {
  for (const args of [
    [],
    ['-p2p=0'],
    ['-blockchain=0'],
    ['-all=1'],
    ['-p2p=maybe'],
    ['-p2p='],
    ['p2p=1'],
    ['-P2P=1'],
    ['---p2p'],
    ['-=1'],
  ])
    assert.throws(() => serviceWish(args), FlagError, args.join(' '));
});

test('help and version are to be had, whatever else is asked for', () => {
  for (const arg of ['-help=1', '-help', '--help', '-h']) assert.equal(wish('-p2p=1', arg), 'help', arg);
  for (const arg of ['-version', '-v', '--version', '-version=1']) assert.equal(wish(arg), 'version', arg);
});
