/**
 * A message kind that the server does not have, with a Kafka topic of its own: one file, and a line in each of two tables, are all that is
 * added to the source. What is built of that is run as it is shipped.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { KafkaSubtreeTopicMessage } from '../../src/shared/generated/kafkamessage.js';
import { decodeEntry } from '../../src/shared/journal/entry.js';
import { JournalReader } from '../../src/shared/journal/reader.js';
import type { RunFile } from '../../src/shared/process/run-file.js';
import type { NodeStatusReport } from '../../src/shared/status.js';
import { createStranger, hashOf, sumOf } from '../support/gossip.js';
import { sighting, sightings } from '../support/made-up/sighting.js';
import { createPeer, type Peer } from '../support/peer.js';
import { type Feed, openFeed } from '../support/server.js';
import { launchServer, type ServerProcess } from '../support/server-process.js';
import { SharedByTests } from '../support/temporary.js';
import { bundleTree, checkTree, SIGHTING, treeWith } from '../support/tree-with.js';
import { waitFor, within } from '../support/wait.js';

const TOPIC = 'teranode/bitcoin/1.0.0/regtest-sighting';
const HUB = 'http://hub.example.org';

describe('a kind that is one file and a line in each of two tables', () => {
  const shared = new SharedByTests();
  let tree: string;
  let run: ServerProcess;
  let file: RunFile;
  let feed: Feed;
  let peer: Peer;
  let neighbour: Peer;

  before(async () => {
    tree = treeWith(shared, SIGHTING);
    bundleTree(tree);
    // GossipSub forwards nothing whose verdict takes more than five heartbeats.
    run = launchServer(shared, { root: tree, set: { p2p_heartbeat_interval: '4s' } });
    file = await run.ready();
    feed = await openFeed(shared, file);
    [peer, neighbour] = await Promise.all([joined('127.0.0.1'), joined('127.0.0.2')]);
  });
  after(() => shared.clean());

  /** A peer that knows the kind. */
  async function joined(localAddress: string): Promise<Peer> {
    const other = await createPeer({ context: shared, topics: [TOPIC], localAddress });
    await other.dial(`/ip4/127.0.0.1/tcp/${file.ports.p2p}/p2p/${file.peerId}`);
    await other.sees(file.peerId, TOPIC);
    return other;
  }

  const message = (hash: string, author: string, place = 'Delft') =>
    JSON.stringify({ Hash: hash, DataHubUrl: HUB, PeerId: author, Place: place });

  const scrape = async () => (await fetch(`http://127.0.0.1:${file.ports.metrics}/metrics`)).text();

  /** What a command of the tree's command line prints. */
  async function command(context: TestContext, ...args: readonly string[]): Promise<string> {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(process.execPath, [join(tree, 'bin', 'teranode-p2p.mjs'), ...args], {
      env,
      cwd: tree,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    context.after(() => child.kill('SIGKILL'));
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    assert.equal(await within(ended, 60_000, args.join(' ')), 0, errors + output);
    return output;
  }

  it('fits every type: the compiler has nothing to say', () => checkTree(tree));

  it('goes from gossip to the journal, its Kafka topic, the feed and the mesh', async (context) => {
    await peer.publish(TOPIC, message(hashOf(7), peer.id));
    const frame = await feed.next(({ type }) => type === 'sighting', 'its frame');
    assert.deepEqual([frame.hash, frame.peer_id, frame.place], [hashOf(7), peer.id, 'Delft']);
    await waitFor(() => neighbour.heard.length === 1, { what: 'it at the neighbour' });

    const entries = await waitFor(
      () => {
        const reader = new JournalReader({ directory: join(run.directory, 'journal') });
        const read = reader.read(0, Number.POSITIVE_INFINITY, 1 << 20).entries;
        reader.close();
        const found = read.map(({ bytes }) => decodeEntry(bytes)).filter(({ kind }) => kind === sighting.id);
        return found.length > 0 ? found : undefined;
      },
      { what: 'its entry in the journal' },
    );
    assert.deepEqual(
      entries.map(({ author, record }) => [author, record?.topic]),
      [[peer.id, sightings.id]],
    );
    const { record } = entries[0] ?? assert.fail();
    assert.deepEqual(KafkaSubtreeTopicMessage.decode(record?.value ?? new Uint8Array()), {
      hash: hashOf(7),
      URL: HUB,
      peer_id: peer.id,
    });

    const read = () =>
      command(context, 'records', 'sightings', '--json', '--set', `DATADIR=${run.directory}`);
    const printed = await waitFor(read, { what: 'its record', everyMs: 100 });
    const { topic, key, value } = JSON.parse(printed) as Record<string, unknown>;
    assert.deepEqual(
      [topic, key, value],
      ['sightings', hashOf(7), { hash: hashOf(7), URL: HUB, peer_id: peer.id }],
    );
  });

  it('has its bounds, checks and repeats from its file, and its place in every table of figures', async () => {
    const stranger = await createStranger();
    peer.send(file.peerId, [
      await stranger.sign(TOPIC, message(hashOf(8), peer.id)),
      await stranger.sign(TOPIC, 'x'.repeat(sighting.sizeBound * 10)),
      await stranger.sign(TOPIC, message('ab', stranger.id)),
      await peer.sign(TOPIC, message(hashOf(7), peer.id)),
      await stranger.sign(TOPIC, message(hashOf(9), stranger.id)),
    ]);
    await feed.next(({ hash }) => hash === hashOf(9), 'the last');
    const text = await waitFor(
      async () => {
        const now = await scrape();
        return sumOf(now, 'teranode_p2p_kafka_records_total', {
          topic: 'sightings',
          outcome: 'acknowledged',
        }) >= 2
          ? now
          : undefined;
      },
      { what: 'the broker’s word for its records', everyMs: 100 },
    );
    const counted = ['ok', 'spoofed', 'oversized', 'bad_field', 'repeat'].map((outcome) =>
      sumOf(text, 'teranode_p2p_messages_total', { kind: 'sighting', outcome }),
    );
    assert.deepEqual(counted, [2, 1, 1, 1, 1]);
  });

  it('is followed by `tail`, with the colour and the field that its file names', async (context) => {
    const url = `ws://127.0.0.1:${file.ports.http}/p2p-ws`;
    let ended = false;
    const line = command(context, 'tail', '-k', 'sighting', '-n', '1', '--url', url).finally(() => {
      ended = true;
    });
    let sent = 100;
    await waitFor(
      async () => {
        await peer.publish(TOPIC, message(hashOf(++sent), peer.id, 'Haarlem'));
        return ended;
      },
      { what: 'a line of tail', timeoutMs: 60_000, everyMs: 200 },
    );
    assert.match(await line, /^\S+ sighting +\S+ +12D3KooW…\w+ +Haarlem\n$/);
  });

  it('is among what settings, documentation, help and status list', async (context) => {
    const shown = await command(context, 'settings', 'show');
    assert.match(shown, /^p2p_sighting_topic = sighting$/m);
    assert.match(shown, /^kafka_sightingsConfig = memory:\/\/embedded\/sightings/m);
    const docs = pathToFileURL(join(tree, 'dist', 'src', 'shared', 'settings', 'docs.js')).href;
    const { settingsMarkdown } = (await import(docs)) as typeof import('../../src/shared/settings/docs.js');
    const rows = settingsMarkdown().split('\n');
    assert.ok(rows.includes('| `p2p_sighting_topic` | text | `sighting` | Topic of sightings. |'));
    assert.ok(rows.some((row) => row.startsWith('| `kafka_sightingsConfig` |')));
    assert.match(await command(context, 'tail', '--help'), /sighting/);
    assert.match(await command(context, 'records', '--help'), /sightings/);
    const status = await fetch(`http://127.0.0.1:${file.ports.http}/api/status`);
    const { kinds } = (await status.json()) as NodeStatusReport;
    assert.deepEqual(
      kinds.find(({ name }) => name === 'sighting'),
      { name: 'sighting', ...sighting.shown },
    );
  });

  it('has a bad value of its settings refused by name', async (context) => {
    const refused = command(
      context,
      'check',
      '--set',
      'kafka_sightingsConfig=nonsense',
      '--set',
      'p2p_sighting_topic=block',
    );
    await assert.rejects(refused, (error: Error) => {
      assert.match(error.message, /kafka_sightingsConfig: /);
      assert.match(error.message, /p2p_sighting_topic: names the same topic as p2p_block_topic/);
      return true;
    });
  });
});
