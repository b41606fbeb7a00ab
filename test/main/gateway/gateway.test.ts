/** A gateway serves what nodes wrote to the topic, as a node serves its own. */

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Gateway } from '../../../src/main/gateway/gateway.js';
import { ConfigurationError } from '../../../src/shared/errors.js';
import { localSocketPath } from '../../../src/shared/ipc/socket-path.js';
import { frameOf, headerOf } from '../../../src/shared/journal/entry.js';
import { listenToEvents } from '../../support/event-stream.js';
import { initGateway, NotificationsTopic, startGateway, WritingNode } from '../../support/gateway.js';
import { readAll } from '../../support/journal.js';
import { listen } from '../../support/notifications.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const HOUR = 3_600_000;

const historiesIn = (directory: string): string[] =>
  readdirSync(directory)
    .filter((one) => one.startsWith('gateway-'))
    .sort();

/** Heights of the blocks in the journal that `DATADIR` holds, in order. */
function heightsIn(directory: string): number[] {
  // That of a topic before is there for a while.
  const name = historiesIn(directory).at(-1) ?? '';
  return readAll(join(directory, name), 0, Number.POSITIVE_INFINITY)
    .entries.map(({ bytes }) => JSON.parse(Buffer.from(frameOf(bytes)).toString()))
    .filter(({ type }) => type === 'block')
    .map(({ height }) => height as number);
}

const outcome = async (gateway: Gateway, label: string): Promise<number> => {
  const line = new RegExp(`^teranode_p2p_gateway_records_total\\{outcome="${label}"\\} (\\d+)$`, 'm');
  return Number(line.exec(await gateway.scrape())?.[1] ?? 0);
};

const topicHealth = async (gateway: Gateway) =>
  (await gateway.health(false)).dependencies.find(({ resource }) => resource === 'kafka notifications');

test('clients are greeted with the newest status of a node that writes, and get what comes', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  await topic.write(node.status('first', 1), node.block(1), node.status('second', 2), node.block(2));
  const { gateway, url, directory } = await startGateway(context, topic);
  const client = await listen(context, url);
  assert.deepEqual([client.frames[0]?.type, client.frames[0]?.peer_id], ['node_status', 'second']);
  await topic.write(node.block(3), node.block(4, { author: 'another', own: true }));
  await waitFor(() => client.heights().length === 2, { what: 'the blocks' });
  assert.deepEqual(client.heights(), [3, 4]);
  assert.deepEqual(heightsIn(directory), [1, 2, 3, 4]);
  assert.deepEqual(Object.keys(client.frames[1] ?? {}), [
    'timestamp',
    'type',
    'hash',
    'base_url',
    'peer_id',
    'height',
  ]);
  await waitFor(async () => (await gateway.health(false)).status === 200, { what: 'readiness' });
  assert.match(await gateway.scrape(), /^teranode_p2p_gateway_announcements_remembered \d/m);
});

test('p2p_gateway_node names the node whose status greets, whoever wrote it', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  const wanted = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';
  const heard = node.record('node_status', { peer_id: wanted, best_height: 9 }, { author: wanted });
  await topic.write(heard, node.status('writer', 2));
  const { url } = await startGateway(context, topic, { p2p_gateway_node: wanted });
  const client = await listen(context, url);
  assert.equal(client.frames[0]?.peer_id, wanted);
});

test('what two nodes wrote of one announcement is shown once, of different ones each', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const [one, other] = [new WritingNode(), new WritingNode()];
  await topic.write(one.block(1), other.block(1, { receivedAt: 2000 }), one.block(1, { author: 'another' }));
  // A status is the same only where every byte of it is.
  const status = { peer_id: 'third', best_height: 5 };
  await topic.write(
    one.record('node_status', status, { author: 'third' }),
    other.record('node_status', status, { author: 'third' }),
    other.record('node_status', status, { author: 'third', receivedAt: 2000 }),
  );
  const { gateway, directory } = await startGateway(context, topic);
  assert.deepEqual(heightsIn(directory), [1, 1]);
  assert.equal(await outcome(gateway, 'shown'), 4);
  assert.equal(await outcome(gateway, 'merged'), 2);
});

test('of servers that do not tell whose a status is, the newest greets', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  const older = (value: Uint8Array) =>
    Buffer.from(value)
      .toString()
      .replace(/,"author":.*$/, '}');
  await topic.writeText(
    older(node.status('one').value),
    older(node.block(1).value),
    older(node.status('two').value),
  );
  const { url, directory } = await startGateway(context, topic);
  const client = await listen(context, url);
  assert.equal(client.frames[0]?.peer_id, 'two');
  assert.deepEqual(heightsIn(directory), [1]);
});

test('a block’s header comes through to the journal', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const header = Buffer.alloc(80, 0x5a);
  await topic.write(new WritingNode().block(1, { header }));
  const { directory } = await startGateway(context, topic);
  const [entry] = readAll(join(directory, 'gateway-1'), 0, Number.POSITIVE_INFINITY).entries;
  assert.deepEqual(Buffer.from(headerOf(entry?.bytes ?? assert.fail('no entry')) ?? []), header);
});

test('records that are no frames are dropped and counted, and what is around them is shown', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  await topic.write(node.block(1));
  await topic.writeText('', '{"type":', 'null', '{"type":"block","hash":"aa"}', Buffer.alloc(900_000, 120));
  const unknown = Buffer.from(node.block(2).value).toString().replace('"block"', '"sighting"');
  await topic.writeText(unknown);
  await topic.write(node.block(3));
  const { gateway, directory } = await startGateway(context, topic);
  assert.deepEqual(heightsIn(directory), [1, 3]);
  const counts = ['shown', 'not_json', 'no_frame', 'too_large', 'unknown_kind'].map((label) =>
    outcome(gateway, label),
  );
  assert.deepEqual(await Promise.all(counts), [2, 2, 2, 1, 1]);
  await waitFor(async () => (await gateway.health(false)).status === 200, { what: 'readiness' });
});

test('a restart goes on behind what was shown, and knows what is to be merged', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const [one, other] = [new WritingNode(), new WritingNode()];
  const DATADIR = temporaryDirectory(context);
  await topic.write(one.block(1), one.block(2));
  const first = await startGateway(context, topic, { DATADIR });
  await first.gateway.stop();
  await topic.write(other.block(2), one.block(3), other.block(1), other.block(3));
  const second = await startGateway(context, topic, { DATADIR });
  assert.deepEqual(heightsIn(DATADIR), [1, 2, 3]);
  assert.equal(await outcome(second.gateway, 'merged'), 3);
  assert.equal(await outcome(second.gateway, 'shown'), 1);
});

test('a topic that was made anew begins another history, and never mixes with the one before', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  await topic.write(node.status('me'), node.block(1), node.block(2), node.block(3));
  const { gateway, log, url, directory } = await startGateway(context, topic);
  const client = await listen(context, url);
  topic.leave();
  await waitFor(() => log.lines.some(({ reason }) => reason === 'the broker is away'), { what: 'a fault' });
  // As many records as before, and more: its offsets alone would not tell.
  await topic.make();
  const anew = new WritingNode();
  await topic.write(...[11, 12, 13, 14, 15, 16].map((height) => anew.block(height)));
  await waitFor(() => existsSync(join(directory, 'gateway-2')), { what: 'another history' });
  await waitFor(() => client.code !== undefined, { what: 'the end of clients that would have a gap' });
  assert.equal(client.code, 1012);
  await waitFor(() => heightsIn(directory).length === 6, { what: 'what it holds' });
  assert.deepEqual(heightsIn(directory), [11, 12, 13, 14, 15, 16]);
  assert.ok(log.lines.some(({ msg }) => String(msg).startsWith('the topic is another than before')));
  assert.match(await gateway.scrape(), /^teranode_p2p_gateway_topics_total 1$/m);
  await gateway.stop();
  assert.deepEqual(historiesIn(directory), ['gateway-2']);
});

for (const shown of [3, 0])
  test(`who is told its place is served while the topic is away and over another in its place, and told that its cursor is unknown: ${shown} blocks before`, async (context) => {
    const topic = await NotificationsTopic.start(context);
    const node = new WritingNode();
    if (shown > 0) await topic.write(node.status('me'), ...[1, 2, 3].map((height) => node.block(height)));
    const { gateway, url, directory } = await startGateway(context, topic, { p2p_gateway_max_lag: 300 });
    const http = `http://127.0.0.1:${gateway.ports.http}`;
    const live = await listen(context, `${url}?cursor=now`);
    const filtered = await listen(context, `${url}?cursor=now&kinds=subtree`);
    const strict = await listen(context, `${url}?cursor=now&strict=true`);
    const events = await listenToEvents(context, `${http}/events?cursor=oldest&kinds=block`);
    await waitFor(() => events.heights().length === shown, { what: 'the blocks' });
    await topic.remove();
    await waitFor(async () => (await topicHealth(gateway))?.status === 503, { what: 'readiness' });
    const late = await listen(context, `${url}?cursor=oldest&kinds=block`);
    await waitFor(() => late.heights().length === shown, { what: 'the blocks' });
    await topic.make();
    const anew = new WritingNode();
    await topic.write(...[11, 12, 13, 14, 15, 16].map((height) => anew.block(height)));
    for (const heights of [live.heights, events.heights, late.heights])
      await waitFor(() => heights().includes(16), { what: 'the blocks of the topic that is there now' });
    const before = [1, 2, 3].slice(0, shown);
    const after = [11, 12, 13, 14, 15, 16];
    assert.deepEqual([live.heights(), late.heights()], [after, [...before, ...after]]);
    assert.deepEqual(events.heights(), [...before, ...after]);
    const told = shown > 0 ? ['cursor_unknown'] : [];
    const infos = (frames: readonly Record<string, unknown>[]) =>
      frames.filter(({ type }) => type === 'info').map(({ code }) => code);
    await waitFor(() => infos(filtered.frames).length === told.length, { what: 'word of the other topic' });
    assert.deepEqual(
      [live, filtered, late].map(({ frames }) => infos(frames)),
      Array(3).fill(told),
    );
    assert.deepEqual(
      events.called('info').map(({ code }) => code),
      told,
    );
    assert.deepEqual(
      [live, filtered, late].map(({ code }) => code),
      Array(3).fill(undefined),
    );
    assert.ok(!events.ended);
    // Who is strict is ended instead, once it is told so.
    if (shown > 0) await waitFor(() => strict.code !== undefined, { what: 'the end of the strict one' });
    const { type, code } = strict.frames.at(-1) ?? {};
    assert.deepEqual(
      [strict.code, type === 'error' ? code : undefined],
      shown > 0 ? [4410, 'cursor_unknown'] : [undefined, undefined],
    );
    assert.equal(historiesIn(directory).at(-1), shown > 0 ? 'gateway-2' : 'gateway-1');
  });

test('a restart goes on behind the last that can be read where much of the journal cannot, and shows nothing twice', async (context) => {
  const COUNT = 16_000;
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  // Segments of a MiB.
  const changes = { DATADIR: temporaryDirectory(context), p2p_feed_retention_bytes: 8 * 1_048_576 };
  const blocks = Array.from({ length: COUNT }, (_, n) => node.block(n + 1));
  await topic.write(node.status('me'), ...blocks);
  await (await startGateway(context, topic, changes)).gateway.stop();
  const directory = join(changes.DATADIR, 'gateway-1');
  const segments = readdirSync(directory).filter((name) => name.endsWith('.journal'));
  const [, ...newer] = segments.sort().map((name) => join(directory, name));
  assert.ok(newer.length > 1);
  for (const path of newer) writeFileSync(path, readFileSync(path).fill(0x5a, 128));
  const { url } = await startGateway(context, topic, changes);
  const client = await listen(context, `${url}?cursor=oldest&kinds=block`);
  await waitFor(() => client.heights().includes(COUNT), { what: 'the last block' });
  assert.deepEqual(
    client.heights(),
    blocks.map((_, n) => n + 1),
  );
});

test('a gateway whose socket cannot be made when the topic is another serves its readers once it can', async (context) => {
  const topic = await NotificationsTopic.start(context);
  await topic.write(new WritingNode().block(1));
  const { url, log, directory } = await startGateway(context, topic);
  const client = await listen(context, `${url}?cursor=oldest&kinds=block`);
  await waitFor(() => client.heights().length === 1, { what: 'the block' });
  const path = localSocketPath(directory, 'frames.sock');
  rmSync(path);
  mkdirSync(path);
  const hears = (what: string) =>
    waitFor(() => log.lines.some(({ reason }) => String(reason).includes(what)), { what });
  await topic.remove();
  await hears('does not exist');
  await topic.make();
  await topic.write(new WritingNode().block(11));
  await hears('EISDIR');
  rmdirSync(path);
  await waitFor(() => client.heights().includes(11), { what: 'the block of the topic that is there now' });
  assert.deepEqual(client.heights(), [1, 11]);
});

test('without the broker history is served, readiness says why after p2p_gateway_max_lag, and what came is read when it is back', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  await topic.write(node.status('me'), node.block(1));
  const { gateway, url, directory } = await startGateway(context, topic, { p2p_gateway_max_lag: 300 });
  const back = topic.leave();
  await waitFor(async () => (await topicHealth(gateway))?.status === 503, { what: 'readiness' });
  assert.match((await topicHealth(gateway))?.error ?? '', /the broker is away/);
  const client = await listen(context, url);
  assert.equal(client.frames[0]?.peer_id, 'me');
  back();
  await topic.write(node.block(2));
  await waitFor(() => client.heights().length === 1, { what: 'what came' });
  assert.deepEqual(heightsIn(directory), [1, 2]);
  await waitFor(async () => (await gateway.health(false)).status === 200, { what: 'readiness' });
});

test('a start without the broker serves what an earlier run left', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  const DATADIR = temporaryDirectory(context);
  await topic.write(node.status('me'), node.block(1));
  await (await startGateway(context, topic, { DATADIR })).gateway.stop();
  topic.leave();
  const { url } = await startGateway(context, topic, { DATADIR });
  const client = await listen(context, url);
  assert.equal(client.frames[0]?.peer_id, 'me');
});

test('a topic of several partitions is refused by name', async (context) => {
  const topic = await NotificationsTopic.start(context, { partitions: 2 });
  const { gateway } = await initGateway(context, topic);
  await assert.rejects(gateway.start(), (error) => {
    assert.ok(error instanceof ConfigurationError);
    assert.match(error.message, /^kafka_notificationsConfig: topic notifications has 2 partitions/);
    return true;
  });
});

test('history begins where p2p_feed_retention does, by the time of the records', async (context) => {
  let now = Date.now() - 3 * HOUR;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => now } });
  const node = new WritingNode();
  for (let height = 1; height <= 6; height++) {
    await topic.write(node.block(height));
    now += HOUR / 2;
  }
  const { directory } = await startGateway(context, topic, { p2p_feed_retention: 1.75 * HOUR });
  assert.deepEqual(heightsIn(directory), [4, 5, 6]);
});

test('what the topic no longer had is told in readiness, by a gauge, and to who asks for an earlier time', async (context) => {
  let now = Date.now() - 3 * HOUR;
  const topic = await NotificationsTopic.start(context, {
    retentionMs: 2 * HOUR,
    broker: { now: () => now },
  });
  const node = new WritingNode();
  await topic.write(node.block(1, { receivedAt: now }), node.block(2, { receivedAt: now }));
  now += 2 * HOUR;
  await topic.write(node.block(3, { receivedAt: now }));
  now += HOUR / 2;
  await topic.write(node.block(4, { receivedAt: now }));
  now += HOUR / 2;
  await topic.trim();
  const { gateway, url, directory } = await startGateway(context, topic, {
    p2p_feed_retention: 4 * HOUR,
    p2p_gateway_merge_window: 0,
  });
  assert.deepEqual(heightsIn(directory), [3, 4]);
  assert.match((await topicHealth(gateway))?.message ?? '', /; the topic kept \d+ min less than p2p_feed_/);
  assert.equal((await topicHealth(gateway))?.status, 200);
  const [, short] =
    /^teranode_p2p_gateway_history_short_seconds (\S+)$/m.exec(await gateway.scrape()) ?? assert.fail();
  // From three hours after the beginning of what is wanted on, less what this test has taken by then.
  assert.ok(Number(short) <= 10_800 && Number(short) > 7200, short);
  const heard = async (since: number) => {
    const client = await listen(context, `${url}?kinds=block&since=${since}`);
    await waitFor(() => client.heights().includes(4), { what: 'the newest block' });
    return [client.frames.flatMap(({ type, code }) => (type === 'info' ? code : [])), client.heights()];
  };
  assert.deepEqual(await heard(now - 2 * HOUR), [['cursor_too_old'], [3, 4]]);
  assert.deepEqual(await heard(now - HOUR + 60_000), [[], [4]]);
  const pages = `${url.replace('ws:', 'http:').replace('/p2p-ws', '')}/api/v1/events`;
  assert.equal((await fetch(`${pages}?since=${now - 2 * HOUR}&strict=true`)).status, 410);
});

test('gateways that began at different times show the same', async (context) => {
  let now = Date.now() - HOUR / 3;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => now } });
  const [one, other] = [new WritingNode(), new WritingNode()];
  // Each a while after the other, within the window and beyond it.
  for (let height = 1; height <= 60; height++) {
    await topic.write(one.block(height), ...(height > 3 ? [other.block(height - 3)] : []));
    now += 15_000 + (height % 7 === 0 ? 30_000 : 0);
  }
  const early = await startGateway(context, topic, { p2p_feed_retention: 2 * HOUR });
  const late = await startGateway(context, topic, { p2p_feed_retention: HOUR / 6 });
  const [all, some] = [heightsIn(early.directory), heightsIn(late.directory)];
  assert.ok(some.length > 0 && some.length < all.length, `${some.length} of ${all.length}`);
  assert.ok(all.length > new Set(all).size && all.length < 117, 'some are merged and some are not');
  assert.deepEqual(all.slice(-some.length), some);
});

test('a gateway that was away until retention took what it had shown last shows nothing that others merged', async (context) => {
  let now = Date.now() - HOUR / 2;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => now } });
  const [one, other] = [new WritingNode(), new WritingNode()];
  const DATADIR = temporaryDirectory(context);
  await topic.write(one.status('me'), one.block(1));
  const steady = await startGateway(context, topic);
  await (await startGateway(context, topic, { DATADIR })).gateway.stop();
  now += 1000;
  await topic.write(one.block(2));
  now += 30_000;
  const kept = now;
  await topic.write(other.block(2));
  await topic.write(one.block(3));
  for (let height = 4; height <= 9; height++) {
    now += 40_000;
    await topic.write(one.block(height), other.block(height - 1));
  }
  await waitFor(() => heightsIn(steady.directory).length === 9, { what: 'all blocks' });
  await topic.retain(now - kept + 1);
  const again = await startGateway(context, topic, { DATADIR });
  const late = await startGateway(context, topic);
  // Two windows behind the oldest that there is.
  const unmerged = [6, 7, 8, 9];
  assert.deepEqual(heightsIn(steady.directory), [1, 2, 3, 4, 5, ...unmerged]);
  assert.deepEqual(heightsIn(DATADIR), [1, ...unmerged]);
  assert.deepEqual(heightsIn(late.directory), unmerged);
  const infos = async (url: string) => {
    const client = await listen(context, `${url}?cursor=oldest&kinds=block`);
    await waitFor(() => client.heights().includes(9), { what: 'what is kept' });
    return client.frames.filter(({ type }) => type === 'info').map(({ code }) => code);
  };
  assert.deepEqual(await infos(again.url), ['gap']);
  assert.deepEqual(await infos(late.url), []);
});

test('a gateway that was away while its topic lost what it had shown, and nothing else, shows all that comes', async (context) => {
  let now = Date.now() - HOUR / 2;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => now } });
  const node = new WritingNode();
  const DATADIR = temporaryDirectory(context);
  await topic.write(node.status('me'), node.block(1));
  await (await startGateway(context, topic, { DATADIR })).gateway.stop();
  now += 600_000;
  await topic.retain(1000);
  await startGateway(context, topic, { DATADIR });
  await topic.write(node.block(2), node.block(3));
  await waitFor(() => heightsIn(DATADIR).length === 3, { what: 'what came' });
  assert.deepEqual(heightsIn(DATADIR), [1, 2, 3]);
});

test('a gateway that had read what retention took since knows it over a fault, and misses nothing', async (context) => {
  let now = Date.now() - HOUR / 2;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => now } });
  const [one, other] = [new WritingNode(), new WritingNode()];
  await topic.write(one.status('me'), one.block(1));
  const { gateway, directory, log } = await startGateway(context, topic);
  now += 1000;
  await topic.retain(500);
  const back = topic.leave();
  await waitFor(() => log.lines.some(({ reason }) => reason === 'the broker is away'), { what: 'a fault' });
  back();
  await topic.write(other.block(1), one.block(2));
  await waitFor(() => heightsIn(directory).includes(2), { what: 'what came' });
  assert.deepEqual(heightsIn(directory), [1, 2]);
  assert.equal(await outcome(gateway, 'merged'), 1);
});

test('another gateway on the same DATADIR waits for it, and goes on with what is there', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  const DATADIR = temporaryDirectory(context);
  await topic.write(node.status('me'), node.block(1));
  const shared = { DATADIR, p2p_datadir_wait: 60_000 };
  const first = await startGateway(context, topic, shared);
  await topic.write(node.block(2));
  const second = await startGateway(context, topic, shared);
  await first.gateway.handedOver;
  await topic.write(node.block(3));
  const client = await listen(context, second.url);
  await waitFor(() => heightsIn(DATADIR).length === 3, { what: 'the blocks' });
  assert.deepEqual(heightsIn(DATADIR), [1, 2, 3]);
  assert.equal(client.frames[0]?.peer_id, 'me');
});
