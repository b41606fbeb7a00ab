/** What a Teranode keeps or leaves elsewhere, read by the other: keys, peer caches, discovery records. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { generateKeyHex, KEY_FILE_NAME, parseKeyHex } from '../../src/main/node/identity/keys.js';
import { asPeer } from '../support/branded.js';
import { serverSettings, startServer, type TestServer } from '../support/server.js';
import type { SettingChanges } from '../support/settings.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';
import { BusClient, type CacheEntry, cacheOf, NOBODY } from './bus.js';
import { Neighbour } from './neighbour.js';
import { goTopic } from './params.js';
import { GoPeer } from './peers.js';

const one = { p2p_notification_servers: 1 };
const connectedTo = ({ server }: TestServer) => server.parts.node.peers().map(({ id }) => id);
const meets = (server: TestServer, id: string, timeoutMs = 20_000) =>
  waitFor(() => connectedTo(server).includes(asPeer(id)), { what: `a connection to ${id}`, timeoutMs });

test('a key of 64 or of 96 bytes gives the same peer ID here and in Go, whoever made it', async (context) => {
  const go = new Neighbour(context, 'peer');
  const identify = (key: string) => go.call<string>('identify', { key });
  const { short, long } = await go.call<{ short: string; long: string }>('newKey');
  assert.deepEqual([short.length, long.length], [128, 192]);
  const ours = await generateKeyHex();
  for (const key of [short, long, ours, ours.slice(0, 128)]) {
    assert.equal((await parseKeyHex(key)).publicKey.toString(), await identify(key));
  }
  // One that both refuse: the public half is another key's.
  const mixed = short.slice(0, 64) + ours.slice(64, 128);
  await assert.rejects(parseKeyHex(mixed));
  const broken = long.slice(0, 128) + ours.slice(128);
  await assert.rejects(parseKeyHex(broken));
  await assert.rejects(identify(broken));
});

test('a server takes the key file of a Go node for its own, and a Go node that of a server', async (context) => {
  const go = new Neighbour(context, 'peer');
  const { long } = await go.call<{ long: string }>('newKey');
  const settings = serverSettings(context, one);
  writeFileSync(join(settings.DATADIR, KEY_FILE_NAME), long, { mode: 0o600 });
  const heir = await startServer(context, settings);
  assert.equal(heir.server.peerId, await go.call('identify', { key: long }));

  const fresh = await startServer(context, serverSettings(context, one));
  const key = readFileSync(join(fresh.settings.DATADIR, KEY_FILE_NAME), 'utf8');
  assert.equal((await GoPeer.start(context, { key })).id, fresh.server.peerId);
});

test('a key moves by copying its file, or in its setting, both ways: the command line shows the peer ID that Go has for it', async (context) => {
  const go = new Neighbour(context, 'peer');
  const identify = (key: string) => go.call<string>('identify', { key });
  const { short, long } = await go.call<{ short: string; long: string }>('newKey');
  /** As `docs/operators/keys-and-backup.md` has it. */
  const shown = async (set: Readonly<Record<string, string>>): Promise<string> => {
    const settings = { network: 'regtest', p2p_grpcListenAddress: '', ...set };
    const args = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const check = [join('bin', 'teranode-p2p.mjs'), 'check', '--json', ...args];
    // Other findings are of this machine: its exit code is theirs too.
    const { stdout } = await promisify(execFile)(process.execPath, check).catch((error) => error);
    return (
      String(stdout)
        .split('\n')
        .find((line) => line.includes('node key')) ?? ''
    );
  };
  for (const key of [short, long]) {
    const [goes, ours] = [temporaryDirectory(context), temporaryDirectory(context)];
    const id = await identify(key);
    // The service trims what it reads, and so may whoever edits it.
    writeFileSync(join(goes, KEY_FILE_NAME), `${key}\n`, { mode: 0o600 });
    copyFileSync(join(goes, KEY_FILE_NAME), join(ours, KEY_FILE_NAME));
    assert.ok((await shown({ DATADIR: ours })).includes(id));
    assert.ok((await shown({ DATADIR: temporaryDirectory(context), p2p_peer_cache_dir: goes })).includes(id));
    assert.ok((await shown({ DATADIR: temporaryDirectory(context), p2p_private_key: key })).includes(id));
  }
  const made = join(temporaryDirectory(context), KEY_FILE_NAME);
  const keygen = [join('bin', 'teranode-p2p.mjs'), 'keygen', '--json', '--out', made];
  const { stdout } = await promisify(execFile)(process.execPath, keygen);
  const { peerId } = JSON.parse(stdout) as { peerId: string };
  assert.equal(await identify(readFileSync(made, 'utf8').trim()), peerId);
});

test('the peer cache of a Go node leads a server to the peers in it', async (context) => {
  const known = await startServer(context, serverSettings(context, one));
  const topic = goTopic('block');
  const directory = temporaryDirectory(context);
  const path = join(directory, 'p2p_peers.json');
  const go = await BusClient.start(context, {
    name: 'caches',
    bootstrap: [known.address],
    dhtMode: 'off',
    topics: [topic],
    cache: path,
  });
  const wanted = (entries: CacheEntry[]) => entries.some(({ id }) => id === known.server.peerId);
  // The module writes half a second after a connection, if the topic's peers are known by then; if not, at the next one.
  await waitFor(
    async () => {
      const written = await cacheOf(path, wanted, 5_000).catch(() => undefined);
      if (written !== undefined) return true;
      await known.server.parts.node.disconnect(asPeer(go.id));
      // Refused while it has yet to notice: the next round is another chance.
      await go.connect(known.address).catch(() => {});
      return false;
    },
    { what: 'the peer cache', timeoutMs: 90_000 },
  );
  await go.program.stop();

  const settings = serverSettings(context, { ...one, p2p_peer_cache_dir: directory });
  const newcomer = await startServer(context, settings);
  await meets(newcomer, known.server.peerId);
});

test('the peer cache of a server leads a Go node to the peers in it', async (context) => {
  const known = await startServer(context, serverSettings(context, one));
  const settings = serverSettings(context, { ...one, p2p_static_peers: [known.address] });
  const writer = await startServer(context, settings);
  // Only identify tells under which addresses a peer is to be found again.
  await waitFor(() => writer.server.parts.node.peers().some(({ agent }) => agent !== ''), {
    what: 'identify',
  });
  await writer.server.stop();
  const path = join(settings.DATADIR, 'p2p_peers.json');
  const entries = await cacheOf(path, (found) => found.length > 0);
  assert.deepEqual(
    entries.map(({ id }) => id),
    [known.server.peerId],
  );
  assert.equal(statSync(path).mode & 0o777, 0o600);

  const cache = join(temporaryDirectory(context), 'teranode_peers.json');
  mkdirSync(join(cache, '..'), { recursive: true });
  copyFileSync(path, cache);
  const topic = goTopic('block');
  const go = await BusClient.start(context, {
    name: 'newcomer',
    bootstrap: [NOBODY],
    dhtMode: 'off',
    topics: [topic],
    cache,
  });
  await meets(known, go.id);
});

for (const generation of ['first', 'current'] as const) {
  test(`${generation} generation: discovery records made by one are found by the other`, async (context) => {
    const sharedKey = generation === 'first' ? { sharedKey: '1f'.repeat(32) } : {};
    const peer = (bootstrap: readonly string[]) =>
      GoPeer.start(context, {
        ...sharedKey,
        dhtPrefix: generation === 'first' ? '/teranode' : '/ipfs',
        bootstrap,
      });
    const third = await peer([]);
    const server = await startServer(
      context,
      serverSettings(context, { ...one, ...bootstrapOf(generation, third.address) }, generation),
    );
    const topic = generation === 'first' ? `${server.settings.p2p_topic_prefix}-block` : goTopic('block');
    const searcher = await peer([third.address]);
    const found = await waitFor(
      async () => (await searcher.providers(topic)).find(({ id }) => id === server.server.peerId),
      { what: "the server's record", timeoutMs: 40_000, everyMs: 500 },
    );
    assert.equal(`${found.address}/p2p/${found.id}`, server.address);

    const announcer = await peer([third.address]);
    await announcer.provide(topic);
    // Known to the third alone, and joined to no topic: only its record leads there.
    await meets(server, announcer.id, 120_000);
  });
}

function bootstrapOf(generation: 'first' | 'current', address: string): SettingChanges {
  return generation === 'first'
    ? { p2p_bootstrapAddresses: [address] }
    : { p2p_bootstrap_peers: [address], p2p_dht_mode: 'server' };
}
