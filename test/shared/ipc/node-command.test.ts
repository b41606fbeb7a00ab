import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nodeCommand, spawnNode } from '../../../src/shared/ipc/node-command.js';
import { temporaryDirectory } from '../../support/temporary.js';

test('another Node is started like this one, or as the environment says', () => {
  assert.deepEqual(nodeCommand({}), [process.execPath]);
  assert.deepEqual(nodeCommand({ TERANODE_P2P_NODE: ' ' }), [process.execPath]);
  assert.deepEqual(nodeCommand({ TERANODE_P2P_NODE: '/lib/ld.so  --library-path /lib node' }), [
    '/lib/ld.so',
    '--library-path',
    '/lib',
    'node',
  ]);
});

test('a program is given its arguments and its heap', async (context) => {
  const program = join(temporaryDirectory(context), 'program.mjs');
  writeFileSync(
    program,
    `import { getHeapStatistics } from 'node:v8';
     process.send([process.argv.slice(2), getHeapStatistics().heap_size_limit]);
     process.disconnect();`,
  );
  const limit = async (heapMb?: number): Promise<number> => {
    const child = spawnNode(program, {
      args: ['a', 'b c'],
      heapMb,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [[args, heap]] = await once(child, 'message');
    assert.deepEqual(args, ['a', 'b c']);
    return heap;
  };
  assert.ok((await limit(20)) < (await limit()));
});
