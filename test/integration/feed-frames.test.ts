/** Every frame of a network's feed, held to what the server publishes of its frames. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { FRAME_KINDS } from '../../src/shared/messages/index.js';
import { readRunFile } from '../../src/shared/process/run-file.js';
import { launchNetwork } from '../support/development-network.js';
import { frameValidator } from '../support/frame-validator.js';
import { waitFor } from '../support/wait.js';

const PACE = ['--blocks', '1s', '--subtrees', '100ms', '--rejected', '1s'];
/** Frames of each kind, from each of the nodes, and with and without meta. */
const ENOUGH = 5;

test('the frames of a development network, of every kind, are as the AsyncAPI document of its nodes says', async (context) => {
  const network = await launchNetwork(context, PACE);
  const seen = new Map<string, number>();
  const faults: string[] = [];
  const follow = async (node: string) => {
    const port = await waitFor(() => readRunFile(join(network.data, node))?.ports.http, {
      what: `${node} to listen`,
      timeoutMs: 60_000,
    });
    const document = await fetch(`http://127.0.0.1:${port}/api/v1/asyncapi.json`);
    assert.equal(document.status, 200);
    const validate = frameValidator((await document.json()) as object);
    for (const query of ['', '?meta=true', '?cursor=oldest', '?batch=50&kinds=subtree,block&meta=true']) {
      const feed = new WebSocket(`ws://127.0.0.1:${port}/p2p-ws${query}`);
      context.after(() => feed.terminate());
      feed.on('error', (error) => faults.push(`${node}${query}: ${error.message}`));
      feed.on('message', (data) => {
        for (const line of String(data).split('\n')) {
          const { message, faults: found } = validate(line);
          seen.set(message, (seen.get(message) ?? 0) + 1);
          if (found.length > 0) faults.push(`${node}${query}: ${line}: ${found.join('; ')}`);
        }
      });
    }
  };
  await Promise.all(['node1', 'node2', 'node3'].map(follow));
  const wanted = [...FRAME_KINDS.flatMap(({ name }) => [name, `${name}_meta`]), 'PING', 'hello'];
  await waitFor(() => faults.length > 0 || wanted.every((message) => (seen.get(message) ?? 0) >= ENOUGH), {
    what: 'frames of every kind',
    timeoutMs: 120_000,
  }).catch((error: Error) => {
    throw new Error(`${error.message}: ${JSON.stringify([...seen])}\n${network.output}`);
  });
  assert.deepEqual(faults.slice(0, 5), []);
});
