/** Clients that go from one gateway to another with their cursor. */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { NotificationsTopic, startGateway, WritingNode } from '../../support/gateway.js';
import { pageOf } from '../../support/history-pages.js';
import { type Listener, listen } from '../../support/notifications.js';
import { waitFor } from '../../support/wait.js';

const cursorAt = ({ frames }: Listener, height: number): string => {
  const frame = frames.find((one) => one.type === 'block' && one.height === height);
  return String(frame?.cursor ?? assert.fail(`no block ${height}`));
};
const infos = ({ frames }: Listener): unknown[] =>
  frames.filter(({ type }) => type === 'info').map(({ code }) => code);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);

test('a client goes on at another gateway where it was at the first, without a gap or a repeat', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const [one, other] = [new WritingNode(), new WritingNode()];
  await topic.write(one.status('me'));
  const gateways = [await startGateway(context, topic), await startGateway(context, topic)];
  const url = (n: number) => `${gateways[n % 2]?.url}?kinds=block&meta=true`;
  let client = await listen(context, url(0));
  const [hello] = client.frames;
  assert.equal(hello?.type, 'hello');
  assert.equal((hello.node as Record<string, unknown>).peer_id, 'me');
  const heard: number[] = [];
  for (let turn = 1; turn <= 6; turn++) {
    const heights = range(turn * 10, turn * 10 + 10);
    // Each is written by both nodes, now the one and now the other first.
    for (const height of heights) {
      const records = [one.block(height), other.block(height)];
      await topic.write(...(height % 3 === 0 ? records.reverse() : records));
    }
    const half = turn * 10 + 5;
    await waitFor(() => client.heights().includes(half), { what: `block ${half}` });
    heard.push(...client.heights().filter((height) => height <= half));
    const cursor = cursorAt(client, half);
    client.socket.terminate();
    client = await listen(context, `${url(turn)}&cursor=${cursor}`);
    assert.deepEqual(infos(client), []);
  }
  await waitFor(() => client.heights().length === 4, { what: 'the last blocks' });
  assert.deepEqual([...heard, ...client.heights()], range(10, 70));
});

interface MadeAnew {
  /** Heights of the blocks that the topic had. */
  readonly had: readonly number[];
  /** That of which the cursor is. */
  readonly at: number;
  /** Heights of those that it has since it was made anew. */
  readonly has: readonly number[];
}

/** A gateway of a topic that was made anew, and a cursor of before. */
async function topicMadeAnew(context: TestContext, { had, at, has }: MadeAnew) {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  await topic.write(node.status('me'), ...had.map((height) => node.block(height)));
  const before = await startGateway(context, topic);
  const client = await listen(context, `${before.url}?cursor=oldest&kinds=block`);
  await waitFor(() => client.heights().length === had.length, { what: 'the blocks' });
  const cursor = cursorAt(client, at);
  await before.gateway.stop();
  await topic.make();
  const anew = new WritingNode();
  const write = (...heights: readonly number[]) =>
    topic.write(...heights.map((height) => anew.block(height)));
  await topic.write(anew.status('me'), ...has.map((height) => anew.block(height)));
  const { url, gateway } = await startGateway(context, topic);
  return { cursor, url, http: `http://127.0.0.1:${gateway.ports.http}`, write };
}

/** One that has fewer records than it had. */
const SHORTER: MadeAnew = { had: range(1, 9), at: 8, has: range(11, 15) };

test('a cursor of a topic that was made anew is told to be unknown, also where its offset is there', async (context) => {
  const longer = { had: range(1, 4), at: 2, has: range(11, 16) };
  const { cursor, url } = await topicMadeAnew(context, longer);
  const again = await listen(context, `${url}?cursor=${cursor}&kinds=block`);
  await waitFor(() => again.heights().length === 5, { what: 'what there is' });
  assert.deepEqual(infos(again), ['cursor_unknown']);
  assert.deepEqual(again.heights(), range(11, 16));
});

test('a cursor of a topic that was made anew is told to be unknown, also where the new one is not that long yet', async (context) => {
  const { cursor, url, write } = await topicMadeAnew(context, SHORTER);
  const client = await listen(context, `${url}?cursor=${cursor}&kinds=block`);
  const strict = await listen(context, `${url}?cursor=${cursor}&kinds=block&strict=true`);
  // One that follows the feed meanwhile has what the other may not be given yet.
  const live = await listen(context, `${url}?cursor=now&kinds=block`);
  assert.deepEqual(
    [client, strict].map(({ frames }) => frames[0]?.cursor),
    [cursor, cursor],
  );
  await write(15, 16);
  await waitFor(() => live.heights().length === 2, { what: 'the blocks' });
  assert.deepEqual([infos(client), client.heights()], [[], []]);
  await write(17, 18, 19);
  await waitFor(() => client.heights().length === 9, { what: 'what there is' });
  assert.deepEqual([infos(client), client.heights()], [['cursor_unknown'], range(11, 20)]);
  await waitFor(() => strict.code !== undefined, { what: 'the end of the strict one' });
  assert.deepEqual([strict.code, strict.heights()], [4410, []]);
  const { type, code, oldest } = strict.frames.at(-1) ?? {};
  assert.deepEqual([type, code, oldest], ['error', 'cursor_unknown', 'oldest']);
});

test('pages from a cursor of another topic are empty and go on from it until the new one is that long, and then tell', async (context) => {
  const { cursor, http, write, url } = await topicMadeAnew(context, SHORTER);
  const page = () => pageOf(http, `cursor=${cursor}&kinds=block`);
  const { events: none, next, more } = await page();
  assert.deepEqual({ none, next, more }, { none: [], next: cursor, more: false });
  const live = await listen(context, `${url}?cursor=now&kinds=block`);
  await write(15, 16, 17, 18, 19);
  await waitFor(() => live.heights().length === 5, { what: 'the blocks' });
  const { events } = await page();
  assert.deepEqual(
    events.map(({ type, code, height }) => (type === 'info' ? code : height)),
    ['cursor_unknown', ...range(11, 20)],
  );
});

test('a client that comes to a gateway that is behind gets what follows its cursor there, and nothing twice', async (context) => {
  const topic = await NotificationsTopic.start(context);
  const node = new WritingNode();
  await topic.write(node.status('me'), ...range(1, 6).map((height) => node.block(height)));
  // The other reads the topic as if it were shorter, until it is let go on.
  const cut = topic.upTo(3);
  const one = await startGateway(context, topic);
  const other = await startGateway(context, cut);
  const first = await listen(context, `${one.url}?cursor=oldest&kinds=block`);
  await waitFor(() => first.heights().length === 5, { what: 'the blocks' });
  const strict = '&strict=true';
  const again = await listen(context, `${other.url}?cursor=${cursorAt(first, 4)}&kinds=block${strict}`);
  const live = await listen(context, `${other.url}?cursor=now&kinds=block`);
  cut.goOn();
  await waitFor(() => live.heights().length === 3, { what: 'what the other had not' });
  await topic.write(node.block(6));
  await waitFor(() => again.heights().includes(6), { what: 'what comes' });
  assert.deepEqual([infos(again), again.heights()], [[], [5, 6]]);
});

test('history goes by the time of the records: since= means the same at a gateway that was started just now', async (context) => {
  let now = Date.now() - 3_600_000;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => now } });
  const node = new WritingNode();
  await topic.write(node.status('me'));
  for (let height = 1; height <= 6; height++) {
    now += 300_000;
    await topic.write(node.block(height, { receivedAt: now }));
  }
  const { url } = await startGateway(context, topic);
  const client = await listen(context, `${url}?kinds=block&since=${now - 600_000}`);
  await waitFor(() => client.heights().length === 3, { what: 'the blocks since' });
  assert.deepEqual(client.heights(), [4, 5, 6]);
});

test('since= goes by when a node received a frame, also where its record came late: what was received before does not come again', async (context) => {
  let now = Date.now() - 3_600_000;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => now } });
  const node = new WritingNode();
  await topic.write(node.status('me'), node.block(1, { receivedAt: now }));
  // Five minutes without brokers; what was received meanwhile is written at once when they are back.
  const receivedAt = (height: number) => now - 300_000 + height * 1000;
  now += 300_000;
  for (const height of range(2, 300))
    await topic.write(node.block(height, { receivedAt: receivedAt(height) }));
  const { url } = await startGateway(context, topic);
  const client = await listen(context, `${url}?kinds=block&since=${receivedAt(290)}`);
  await waitFor(() => client.heights().includes(299), { what: 'the newest block' });
  assert.deepEqual(client.heights(), range(290, 300));
});

test('since= leaves nothing out where the clocks of nodes and gateway are seconds apart', async (context) => {
  const ahead = Date.now() + 20_000;
  const topic = await NotificationsTopic.start(context, { broker: { now: () => ahead } });
  const node = new WritingNode();
  await topic.write(node.status('me'));
  for (const height of range(1, 7))
    await topic.write(node.block(height, { receivedAt: ahead - 10 + height }));
  const { url } = await startGateway(context, topic);
  const client = await listen(context, `${url}?kinds=block&since=${ahead - 10 + 4}`);
  await waitFor(() => client.heights().includes(6), { what: 'the newest block' });
  assert.deepEqual(client.heights(), [4, 5, 6]);
});
