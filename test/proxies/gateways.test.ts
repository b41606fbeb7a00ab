/** Two gateways behind one address, by `deploy/gateway/haproxy.cfg` as it is but for its addresses. */

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { EmbeddedTopicReader } from '../../src/shared/sinks/kafka/embedded/topic-reader.js';
import { read } from '../client/reading.js';
import { type ServedBroker, serveBroker } from '../support/embedded-broker.js';
import { feedClient } from '../support/feed-client.js';
import { gatewaySettings, startGateway, TOPIC, WritingNode } from '../support/gateway.js';
import { freePorts } from '../support/ports.js';
import type { SettingChanges } from '../support/settings.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';
import { run, serverFigures, statsFrontend } from './program.js';

const PROGRAM = new URL('../support/programs/mortal-gateway.js', import.meta.url);
/** One port for both, as in containers. */
const HOSTS = ['127.0.0.1', '127.0.0.2'] as const;
const WAIT = { timeoutMs: 60_000, everyMs: 100 };

/** A gateway in this process from which what comes to the topic can be withheld. */
async function startHeld(context: TestContext, { broker }: ServedBroker, changes: SettingChanges) {
  let held = false;
  const port = {
    topics: () => broker.topics(),
    async read(request: Parameters<typeof broker.read>[0]) {
      const records = await broker.read({ ...request, waitMs: Math.min(request.waitMs, 50) });
      return held ? [] : records;
    },
  };
  const gateway = await startGateway(
    context,
    { reader: () => new EmbeddedTopicReader(port, TOPIC) },
    changes,
  );
  return Object.assign(gateway, {
    hold: (now: boolean) => {
      held = now;
    },
  });
}

/** A gateway in a process of its own, serving when this resolves; what kills it. */
async function startMortal(context: TestContext, { socketPath }: ServedBroker, changes: SettingChanges) {
  const settings = gatewaySettings(context, changes);
  const child = fork(PROGRAM, [JSON.stringify(settings), socketPath], {
    env: { ...process.env, NODE_TEST_CONTEXT: '' },
  });
  context.after(() => child.kill('SIGKILL'));
  await once(child, 'message');
  return async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
}

/** HTTP status of `path` to who asks from `localAddress`, on a connection of its own. */
const statusFrom = (localAddress: string, port: number, path: string): Promise<number> =>
  new Promise((resolve, reject) => {
    get({ host: '127.0.0.1', port, path, localAddress, agent: false }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode ?? 0));
    }).once('error', reject);
  });

test('who is behind the topic gets nobody new, whose gateway dies goes on at the other, and an address reads segments of one', async (context) => {
  const served = await serveBroker(context);
  await served.broker.createTopic({ topic: TOPIC, partitions: 1, retentionMs: -1 });
  const node = new WritingNode();
  const hashes: string[] = [];
  const announce = async () => {
    const record = node.block(hashes.length + 1);
    hashes.push((JSON.parse(Buffer.from(record.value).toString()) as { hash: string }).hash);
    await served.broker.produce(TOPIC, [record]);
  };
  await announce();
  const [feed = 0, stats = 0, http = 0, health = 0] = await freePorts(4);
  const [first, second] = HOSTS.map((host) => ({
    p2p_httpListenAddress: `${host}:${http}`,
    health_check_httpListenAddress: `${host}:${health}`,
    p2p_websocket_trusted_proxies: ['127.0.0.1'],
    p2p_gateway_max_lag: 1000,
  }));
  const { hold } = await startHeld(context, served, first ?? {});
  const kill = await startMortal(context, served, second ?? {});

  const directory = temporaryDirectory(context);
  const file = join(directory, 'haproxy.cfg');
  const text = HOSTS.reduce(
    (configuration, host, index) => configuration.replaceAll(`gateway-${index + 1}:9906`, `${host}:${http}`),
    readFileSync('deploy/gateway/haproxy.cfg', 'utf8'),
  )
    .replace('bind :9906', `bind 127.0.0.1:${feed}`)
    .replace('check port 8000', `check port ${health}`);
  writeFileSync(file, text + statsFrontend(stats));
  run(context, 'haproxy', ['-db', '-f', file], directory);
  const figures = (backend: string) =>
    Promise.all(['gateway-1', 'gateway-2'].map((server) => serverFigures(stats, backend, server)));
  const figure = async (backend: string, name: string) =>
    (await figures(backend)).map((each) => each[name] ?? '');
  await waitFor(() => figures('gateways').catch(() => undefined), { ...WAIT, what: 'HAProxy' });

  const url = `ws://127.0.0.1:${feed}/p2p-ws`;
  /** A client, and the epoch of the gateway that it is at, which is that one's own. */
  const enter = async (at = url) => {
    const client = await feedClient(context, at, 'kinds=block&cursor=oldest');
    const heard = (count: number) =>
      waitFor(() => client.frames().length >= count, { ...WAIT, what: `block ${count}` });
    await heard(1);
    return { client, heard, epoch: client.frames()[0]?.epoch ?? '' };
  };
  const epochs: string[] = [];
  for (const host of HOSTS) {
    const { client, epoch } = await enter(`ws://${host}:${http}/p2p-ws`);
    epochs.push(epoch);
    client.socket.terminate();
  }
  const clients = [await enter(), await enter()];
  assert.deepEqual(clients.map(({ epoch }) => epoch).toSorted(), epochs.toSorted());
  const [stays, leaves] = epochs.map((epoch) => clients.find((client) => client.epoch === epoch));
  assert.ok(stays && leaves);

  // Whoever asks, from wherever, is at one of the two with all that it asks for.
  const taken = new Set<number>();
  for (let host = 2; taken.size < HOSTS.length; host++) {
    assert.ok(host < 64, 'addresses of both');
    const before = await figure('archives', 'stot');
    for (const path of ['', '/0123456789abcdef/0', '', '/0123456789abcdef/0']) {
      const status = await statusFrom(`127.0.0.${host}`, feed, `/api/v1/segments${path}`);
      assert.equal(status, path === '' ? 200 : 404);
    }
    const took = (await figure('archives', 'stot')).map((total, at) => Number(total) - Number(before[at]));
    assert.deepEqual(took.toSorted(), [0, 4]);
    taken.add(took.indexOf(4));
  }

  hold(true);
  await announce();
  const isDown = async () => (await figure('gateways', 'status'))[0]?.startsWith('DOWN');
  await waitFor(isDown, { ...WAIT, what: 'the end of its readiness' });
  const readiness = await fetch(`http://127.0.0.1:${health}/health/readiness`);
  assert.equal(readiness.status, 503);
  assert.match(await readiness.text(), /behind the end of notifications for \d+ s: 1 records/);
  const late = [await enter(), await enter(), await enter()];
  assert.deepEqual(new Set(late.map(({ epoch }) => epoch)), new Set([epochs[1]]));
  for (const { heard } of late) await heard(2);
  assert.match((await figure('archives', 'status'))[0] ?? '', /^DOWN/);
  assert.equal(stays.client.code, undefined);
  assert.equal(stays.client.frames().length, 1);
  hold(false);
  await stays.heard(2);
  await waitFor(async () => !(await isDown()), { ...WAIT, what: 'its readiness' });

  for (const { client } of [...late, leaves]) client.socket.terminate();
  const atMortal = async () => Number((await figure('gateways', 'scur'))[1]);
  await waitFor(async () => (await atMortal()) === 0, { ...WAIT, what: 'the end of its clients' });
  const reading = read(context, { url, kinds: ['block'], cursor: 'oldest' });
  const reads = (count: number) =>
    waitFor(() => reading.hashes().length >= count, { ...WAIT, what: `block ${count}` });
  await reads(2);
  assert.equal(await atMortal(), 1);
  await announce();
  await reads(3);
  await kill();
  await announce();
  await reads(4);
  assert.deepEqual(reading.hashes(), hashes);
  assert.deepEqual(reading.notices(), []);
  // That one ended, and nobody refused it.
  assert.deepEqual(new Set(reading.failures.map(({ reason }) => reason)), new Set(['closed']));
});
