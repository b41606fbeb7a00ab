import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../../support/temporary.js';
import { within } from '../../support/wait.js';

test('a server whose parent is gone before it listens for that ends all the same', async (context) => {
  const data = join(temporaryDirectory(context), 'data');
  const { NODE_TEST_CONTEXT: _, NODE_V8_COVERAGE: __, ...env } = process.env;
  const settings = [
    'network=regtest',
    `DATADIR=${data}`,
    'logLevel=info',
    'p2p_port=0',
    'p2p_listen_addresses=127.0.0.1',
    'p2p_grpcListenAddress=',
    'health_check_httpListenAddress=',
    'profilerAddr=',
    'p2p_httpListenAddress=127.0.0.1:0',
  ];
  const args = ['start', ...settings.flatMap((setting) => ['--set', setting])];
  const child = spawn(process.execPath, [resolve('bin/teranode-p2p.mjs'), ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  context.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text));
  child.disconnect();
  const [code] = await within(once(child, 'exit'), 60_000, `the end, after\n${output}`);
  assert.equal(code, 0, output);
  assert.match(output, /parent gone/);
  assert.equal(existsSync(join(data, 'run.json')), false);
});
