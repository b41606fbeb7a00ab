/** A consumer of a whole server that is killed and started again: the library, and the command line. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { hashesOf, read } from '../client/reading.js';
import { hashOf } from '../support/gossip.js';
import { createPeer } from '../support/peer.js';
import { freePorts } from '../support/ports.js';
import { launchServer, type ServerProcess } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';

/** A peer of the server, which announces subtrees. */
async function announcer(context: TestContext, server: ServerProcess): Promise<(n: number) => Promise<void>> {
  const { ports, peerId } = await server.ready();
  const peer = await createPeer({ context, topics: [TOPIC] });
  await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
  await peer.sees(peerId, TOPIC);
  return async (n) => {
    const announcement = { Hash: hashOf(n), DataHubUrl: 'http://hub.example.org', PeerId: peer.id };
    await peer.publish(TOPIC, JSON.stringify(announcement));
  };
}

test('what a server heard before kill -9 and after it comes once, in order, to the library and to tail', async (context) => {
  const [port = 0] = await freePorts(1);
  const directory = temporaryDirectory(context);
  const set = { p2p_httpListenAddress: `127.0.0.1:${port}` };
  const url = `ws://127.0.0.1:${port}/p2p-ws`;
  const first = launchServer(context, { directory, set });
  const announce = await announcer(context, first);
  const reading = read(context, { url, kinds: ['subtree'], cursor: 'oldest' });
  const heard = (count: number) =>
    waitFor(() => reading.hashes().length === count, { what: `${count} subtrees`, timeoutMs: 60_000 });
  for (let n = 1; n <= 3; n++) await announce(n);
  await heard(3);

  first.child.kill('SIGKILL');
  await first.exit;
  const second = launchServer(context, { directory, set });
  const announceAgain = await announcer(context, second);
  for (let n = 4; n <= 6; n++) await announceAgain(n);
  await heard(6);
  // Gossip has no order between messages; the journal has.
  assert.deepEqual([...reading.hashes()].sort(), [1, 2, 3, 4, 5, 6].map(hashOf).sort());
  assert.deepEqual(reading.notices(), []);

  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const bin = resolve('bin/teranode-p2p.mjs');
  const args = ['tail', '--url', url, '--since', '1h', '--kind', 'subtree', '--json', '-n', '6'];
  const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args], { cwd: directory, env });
  const shown = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual(hashesOf(shown), reading.hashes());
  assert.deepEqual(
    shown.map(({ seq }) => seq - shown[0].seq),
    [...reading.events.keys()].map(
      (index) =>
        Number((reading.events[index] as { seq: number }).seq) -
        Number((reading.events[0] as { seq: number }).seq),
    ),
  );
});
