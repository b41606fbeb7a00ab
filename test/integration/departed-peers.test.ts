import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { subtree } from '../../src/shared/messages/index.js';
import { topicOf } from '../support/gossip.js';
import { HeapHolders } from '../support/heap-holders.js';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const PASSERS_BY = fileURLToPath(new URL('../support/programs/passers-by.js', import.meta.url));
const COUNT = 40;
/** Of the last that left: their connections, frames and the like, which go with what comes next. */
const LAST = 3;

/** Stores that remember peers beyond their connections, and what bounds each. */
const BOUNDED: Readonly<Record<string, string>> = {
  'KnownPeers.#met': 'what peers told: 10,000 peers, half of them strangers',
  'KnownPeers.#strangers': 'the same',
  'WriteBehind.#waiting': 'whose entry is not stored yet: 20,000 peers, five seconds',
  'StoredPeers.#known': 'entries of libp2p’s peer store: 10,000 peers',
  'variable met': 'peers from addresses where nobody is banned: 1,000',
  'FairQueue.#paces': 'how long messages of a source take to check: 10,000 sources',
  'variable authors': 'authors whose signature held: 10,000',
};

test('peers that come, speak and go leave nothing behind but what stores with a bound remember', async (context) => {
  const server = await startServer(context, serverSettings(context, { p2p_checkers: 1 }));
  const child = spawn(
    process.execPath,
    [PASSERS_BY, server.address, String(COUNT), topicOf(server, subtree)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit');
  context.after(() => {
    child.kill('SIGKILL');
    return ended;
  });
  /** From their ends, for who holds an ID as it is shall be found. */
  const gone: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'all') break;
    gone.push(line);
  }
  assert.equal(gone.length, COUNT);
  const { node, registry } = server.server.parts;
  await waitFor(() => node.peers().length === 0, { what: 'the end of every connection' });
  assert.ok(registry.known.list().length >= COUNT, 'each was there');
  let holders: ReadonlyMap<string, number> = new Map();
  let kept: unknown[] = [];
  const isClean = async (): Promise<boolean> => {
    const heap = await HeapHolders.now();
    holders = heap.of(new Set(gone.map((text) => [...text].reverse().join(''))));
    kept = [...holders].filter(([holder, held]) => held > LAST && !Object.hasOwn(BOUNDED, holder));
    return kept.length === 0;
  };
  // What is kept for a while, such as a stream that is closing, may be a few seconds old.
  await waitFor(isClean, { everyMs: 1_000 }).catch(() => {});
  assert.deepEqual(kept, []);
  assert.equal(holders.get('KnownPeers.#met'), COUNT, 'what holds on to a peer is found');
});
