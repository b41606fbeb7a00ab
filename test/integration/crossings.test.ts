/** How often one message has a thread wait for another on its way to the verdict, counted at the ports of every thread. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createStranger, subtreeData } from '../support/gossip.js';
import { createPeer } from '../support/peer.js';
import { launchServer } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-subtree';
const COUNTING = new URL('../support/count-posts.js', import.meta.url).href;
/** What else a server does now and then is not in most of them. */
const MESSAGES = 15;

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

for (const [inline, trips] of [
  [false, 2],
  [true, 1],
] as const) {
  test(`one message through an idle server takes ${trips} round trip${trips === 1 ? '' : 's'} between threads with p2p_inline_checks=${inline}`, async (context) => {
    const file = join(temporaryDirectory(context), 'posts');
    writeFileSync(file, '');
    const server = launchServer(context, {
      set: {
        p2p_inline_checks: String(inline),
        p2p_node_status_interval: '1h',
        // GossipSub forwards nothing whose verdict takes more than five heartbeats.
        p2p_heartbeat_interval: '4s',
        logLevel: 'warn',
      },
      env: { POSTS: file, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${COUNTING}`.trim() },
    });
    const { ports, peerId } = await server.ready();
    const address = `/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`;
    const [relay, neighbour] = await Promise.all(
      ['127.0.0.2', '127.0.0.3'].map((localAddress) =>
        createPeer({ context, topics: [TOPIC], localAddress }),
      ),
    );
    for (const peer of [relay!, neighbour!]) {
      await peer.dial(address);
      await peer.sees(peerId, TOPIC);
    }
    const author = await createStranger();
    const posts = () => {
      const lines = readFileSync(file, 'utf8').split('\n');
      const of = (who: string) => lines.filter((line) => line === `${server.child.pid} ${who}`).length;
      return { main: of('main'), threads: of('thread') };
    };
    /** The numbers once they have not changed for a while. */
    const rest = async () => {
      let last = posts();
      let same = 0;
      await waitFor(
        () => {
          const now = posts();
          same = now.main === last.main && now.threads === last.threads ? same + 1 : 0;
          last = now;
          return same === 5;
        },
        { what: 'an idle server', everyMs: 10, timeoutMs: 30_000 },
      );
      return last;
    };
    let sent = 0;
    const send = async () => {
      relay!.send(peerId, [await author.sign(TOPIC, subtreeData(author.id, sent++))]);
      await waitFor(() => neighbour!.heard.length >= sent, {
        what: 'the message at the neighbour',
        everyMs: 1,
      });
    };
    // The first ones come before there is a mesh.
    await waitFor(
      async () => {
        relay!.send(peerId, [await author.sign(TOPIC, subtreeData(author.id, 1_000 + sent++))]);
        return neighbour!.heard.length > 0;
      },
      { what: 'the neighbour to hear' },
    );
    await rest();
    sent = neighbour!.heard.length;
    const counts: { main: number; threads: number }[] = [];
    for (let n = 0; n < MESSAGES; n++) {
      const before = await rest();
      await send();
      const after = await rest();
      counts.push({ main: after.main - before.main, threads: after.threads - before.threads });
    }
    context.diagnostic(JSON.stringify(counts));
    assert.equal(median(counts.map(({ main }) => main)), trips, 'posted by main');
    assert.equal(median(counts.map(({ threads }) => threads)), trips, 'posted to main');
  });
}
