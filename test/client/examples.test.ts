import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../support/temporary.js';
import { goesOn } from './example-program.js';

test('the example for Node goes on over ends of the server and of itself', async (context) => {
  const folder = temporaryDirectory(context);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(resolve('client'), join(folder, 'node_modules/teranode-p2p-feed'));
  symlinkSync(resolve('node_modules/ws'), join(folder, 'node_modules/ws'));
  copyFileSync('client/examples/node.mjs', join(folder, 'node.mjs'));
  await goesOn(context, process.execPath, [join(folder, 'node.mjs')], 'ws');
});
