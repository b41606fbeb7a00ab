import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NodeProcess } from '../../../src/main/devnet/node-process.js';
import { monotonic } from '../../../src/shared/clock.js';
import { within } from '../../support/wait.js';

test('a node is started by TERANODE_P2P_NODE, of several words too', async (context) => {
  const before = process.env.TERANODE_P2P_NODE;
  context.after(() => {
    if (before === undefined) delete process.env.TERANODE_P2P_NODE;
    else process.env.TERANODE_P2P_NODE = before;
  });
  process.env.TERANODE_P2P_NODE = `${process.execPath} --no-warnings`;
  const errors: string[] = [];
  const node = new NodeProcess({
    name: 'node1',
    settings: ['no_such_setting=1'],
    onLine: () => {},
    onError: (line) => errors.push(line),
    onDeath: () => {},
  });
  await within(
    assert.rejects(node.ready, /node1 ended with exit code 1/),
    60_000,
    'a refusal of the server itself',
  );
  await node.stop(monotonic() + 1000);
  assert.match(errors.join('\n'), /no_such_setting: no such setting/);
});
