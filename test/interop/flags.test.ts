/** The flag of the P2P service, in every form that Go's package `flag` has for it. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FlagError, serviceWish } from '../../src/main/cli/service-flags.js';
import { Neighbour } from './neighbour.js';

const NAMES = ['-p2p', '--p2p', '---p2p', 'p2p', '-P2P', '-p2', '-p2pp'];
const TEXTS = '1 t T true True TRUE tRUE 0 f F false False FALSE yes on 2 01 maybe'.split(' ');

function isOn(arg: string): boolean {
  try {
    return serviceWish([arg]).wish === 'start';
  } catch (error) {
    if (error instanceof FlagError) return false;
    throw error;
  }
}

test('what starts the P2P service is what Go reads as its flag, and nothing else', async (context) => {
  const args = NAMES.flatMap((name) => [name, `${name}=`, ...TEXTS.map((text) => `${name}=${text}`)]);
  const go = new Neighbour(context, 'flags');
  const answers = await go.call<Record<string, boolean>>('p2p', { args });
  assert.equal(Object.values(answers).filter((on) => on).length, 14);
  assert.deepEqual(Object.fromEntries(args.map((arg) => [arg, isOn(arg)])), answers);
});
