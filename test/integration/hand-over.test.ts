/** Two or more servers on one data directory: who has it, who gets it, and what the others are told. */

import assert from 'node:assert/strict';
import { lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { askServer, ControlConnection } from '../../src/main/control/client.js';
import { Tenure } from '../../src/main/hand-over/tenure.js';
import type { RunFile } from '../../src/shared/process/run-file.js';
import { subtreeData, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { createPeer } from '../support/peer.js';
import { freePorts } from '../support/ports.js';
import { launchServer, type ProcessOptions, type ServerProcess } from '../support/server-process.js';
import { settingsOf } from '../support/settings.js';
import { dialAgain } from '../support/subtree-traffic.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const SUBTREE = kindNamed('subtree') ?? assert.fail();
const TOPIC = topicOf({ settings: settingsOf({ network: 'regtest' }) }, SUBTREE);
const WAITS = { p2p_datadir_wait: '120s' };
/** An end that is timed writes no coverage: it takes seconds on a busy machine. */
const TIMED = { NODE_V8_COVERAGE: '' };

interface Pod extends ServerProcess {
  readonly health: number;
  readiness(): Promise<{ readonly status: number; readonly text: string } | undefined>;
  said(text: RegExp): Record<string, unknown> | undefined;
}

/** A server with a health port of its own, as in a pod of its own. */
async function launch(context: TestContext, options: ProcessOptions & { directory: string }): Promise<Pod> {
  const [health = 0] = await freePorts(1);
  const run = launchServer(context, {
    ...options,
    env: { ...TIMED, ...options.env },
    set: { ...WAITS, health_check_httpListenAddress: `127.0.0.1:${health}`, ...options.set },
  });
  return Object.assign(run, {
    health,
    readiness: async () => {
      try {
        const response = await fetch(`http://127.0.0.1:${health}/health/readiness`);
        return { status: response.status, text: await response.text() };
      } catch {
        return undefined;
      }
    },
    said: (text: RegExp) => run.lines().find(({ msg }) => text.test(String(msg))),
  });
}

/** Until its readiness is 200: what a controller waits for before it ends the server before. */
async function isReady(pod: Pod): Promise<void> {
  const found = await waitFor(
    async () => (pod.child.exitCode !== null ? 'ended' : (await pod.readiness())?.status === 200),
    { what: 'readiness', timeoutMs: 120_000, everyMs: 50 },
  );
  assert.equal(found, true, pod.stdout + pod.stderr);
}

const hasSaid = (pod: Pod, text: RegExp): Promise<Record<string, unknown>> =>
  waitFor(() => pod.said(text), { what: `${text}`, timeoutMs: 120_000 }).catch((error: unknown) => {
    throw new Error(`${error}\n${pod.stdout}${pod.stderr}`);
  });

/** SIGTERM, and the end that follows it. */
async function ended(pod: Pod): Promise<void> {
  pod.child.kill('SIGTERM');
  assert.equal((await within(pod.exit, 60_000, 'the end of a server')).code, 0, pod.stdout + pod.stderr);
}

const runFileIn = (directory: string): RunFile =>
  JSON.parse(readFileSync(join(directory, 'run.json'), 'utf8')) as RunFile;

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

/** Sends raw bytes to the socket of `directory`, and keeps the connection. */
function knock(context: TestContext, directory: string, bytes: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(join(directory, 'control.sock'));
    context.after(() => socket.destroy());
    socket.on('error', () => resolve(socket));
    socket.once('connect', () => socket.write(bytes, () => resolve(socket)));
  });
}

test('the next server takes over when it can serve: by then the last has left the network, told its clients, and is idle until it is ended', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  const { ports, peerId } = runFileIn(directory);
  const client = new WebSocket(`ws://127.0.0.1:${ports.http}/p2p-ws`);
  const closed = new Promise<number>((resolve) => client.once('close', resolve));
  await new Promise((resolve, reject) => client.once('open', resolve).once('error', reject));

  const next = await launch(context, { directory });
  await hasSaid(next, /DATADIR was handed over to this server/);
  assert.equal(await isOpen(ports.p2p), false, 'the old one is still on the network');
  await isReady(next);
  assert.equal(await within(closed, 10_000, 'the end of the client'), 1012);
  const now = runFileIn(directory);
  assert.equal(now.pid, next.child.pid);
  assert.equal(now.peerId, peerId);
  assert.notEqual(now.ports.p2p, 0);
  for (const port of [ports.p2p, ports.http, ports.grpc ?? 0]) assert.equal(await isOpen(port), false);
  const liveness = await fetch(`http://127.0.0.1:${old.health}/health/liveness`);
  assert.equal(liveness.status, 200, await liveness.text());
  const told = await old.readiness();
  assert.equal(told?.status, 503);
  assert.match(told.text, new RegExp(`handed over DATADIR to .*process ${next.child.pid}`));
  const { metrics = 0 } = ports;
  assert.equal((await fetch(`http://127.0.0.1:${metrics}/metrics`)).status, 200);
  await ended(old);
  await isReady(next);

  const third = await launch(context, { directory });
  await isReady(third);
  await ended(next);
  await isReady(third);
});

test('a server that waits says so, and asks for the directory only when it could serve: while its chain is not there, the last goes on', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  const [nobody = 0] = await freePorts(1);
  const next = await launch(context, {
    directory,
    set: { blockchain_grpcAddress: `127.0.0.1:${nobody}` },
  });
  const waiting = await waitFor(
    async () => {
      const told = await next.readiness();
      return told?.text.includes('before it asks for DATADIR') ? told : undefined;
    },
    { what: 'what it waits for', timeoutMs: 60_000 },
  );
  assert.equal(waiting.status, 503);
  assert.equal((await fetch(`http://127.0.0.1:${next.health}/health/liveness`)).status, 200);
  // It has met its chain's absence by then.
  await waitFor(async () => (await next.readiness())?.text.includes(`${nobody}`), {
    what: 'the absent chain',
  });
  await isReady(old);
  assert.equal(next.said(/asking the server/), undefined);
  await ended(next);
  const taken = await launch(context, {
    directory,
    set: { health_check_httpListenAddress: `127.0.0.1:${old.health}` },
  });
  assert.equal((await within(taken.exit, 60_000, 'a start that is refused')).code, 1);
  assert.match(taken.stderr, /health_check_httpListenAddress/);
  // A newcomer whose port is taken gets nothing.
  await isReady(old);
});

test('without p2p_datadir_wait on either side a directory in use is refused at once, and its holder goes on', async (context) => {
  for (const [holder, newcomer] of [
    ['0', '60s'],
    ['60s', '0'],
  ] as const) {
    const directory = temporaryDirectory(context);
    const old = await launch(context, { directory, set: { p2p_datadir_wait: holder } });
    await isReady(old);
    const next = await launch(context, { directory, set: { p2p_datadir_wait: newcomer } });
    const { code } = await within(next.exit, 60_000, 'a start that is refused');
    assert.equal(code, 1);
    assert.match(next.stderr, /DATADIR: \S+ is in use by another server$/m);
    await isReady(old);
    await ended(old);
  }
});

test('a holder that stands still is waited for, then refused by name; what it finds asked when it goes on is nobody’s any more', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  old.child.kill('SIGSTOP');
  const next = await launch(context, { directory, set: { p2p_datadir_wait: '2s' } });
  const { code } = await within(next.exit, 60_000, 'a start that is refused');
  assert.equal(code, 1);
  assert.match(next.stderr, /did not hand it over within 2 s \(p2p_datadir_wait\): it does not answer/);
  old.child.kill('SIGCONT');
  // Behind whatever waited there.
  const connection = new ControlConnection(join(directory, 'control.sock'));
  assert.equal((await connection.ask('level', { level: 'info' }, 60_000)).level, 'info');
  connection.leave();
  await isReady(old);
  assert.equal(old.said(/handing DATADIR over/), undefined);
});

test('a holder that dies while it hands over is no loss: its lock goes with it', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  const next = await launch(context, { directory });
  await hasSaid(old, /handing DATADIR over/);
  old.child.kill('SIGKILL');
  await isReady(next);
});

test('where the next server dies after it asked, the last takes the directory back; who failed once waits, and gets it again', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  const { peerId } = runFileIn(directory);
  const failing = await launch(context, { directory });
  await hasSaid(old, /handing DATADIR over/);
  failing.child.kill('SIGKILL');
  await hasSaid(old, /DATADIR lay free: this server takes it back/);
  // At once: its wait is over in 15 s, which a slow machine takes to start one.
  const { request } = new Tenure({ waitMs: 1, version: 'failing' });
  const answer = await waitFor(
    () => {
      const connection = new ControlConnection(join(directory, 'control.sock'));
      return connection
        .ask('handOver', { ...request, confirmed: false })
        .catch(() => undefined)
        .finally(() => connection.leave());
    },
    { what: 'an answer of who took it back', timeoutMs: 60_000, everyMs: 10 },
  );
  assert.equal(answer.granted ? 'granted' : answer.refusal, 'not to you');
  await isReady(old);
  assert.equal(runFileIn(directory).peerId, peerId);
  const next = await launch(context, { directory });
  await isReady(next);
  assert.equal((await old.readiness())?.status, 503);
  await ended(old);
});

test('a server that is asked while it starts gives the directory up too', async (context) => {
  const directory = temporaryDirectory(context);
  const [nobody = 0] = await freePorts(1);
  const old = await launch(context, { directory, set: { blockchain_grpcAddress: `127.0.0.1:${nobody}` } });
  await waitFor(async () => (await old.readiness())?.text.includes('starting'), {
    what: 'a start that waits',
    timeoutMs: 120_000,
  });
  const next = await launch(context, { directory });
  await isReady(next);
  assert.match((await old.readiness())?.text ?? '', /handed over DATADIR to/);
  await ended(old);
});

test('with brokers that are away or say nothing the directory is handed over all the same, and what waits for Kafka waits there', async (context) => {
  const directory = temporaryDirectory(context);
  const silent = createServer((socket) => void socket.on('error', () => {}));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  context.after(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const set = {
    // A slow machine closes nine consumers of a silent broker slowly, and what has not ended in time ends the process.
    shutdown_timeout: '60s',
    kafka_subtreesConfig: 'kafka://127.0.0.1:1/subtrees',
    kafka_blocksConfig: `kafka://127.0.0.1:${port}/blocks`,
    kafka_rejectedTxConfig: `kafka://127.0.0.1:${port}/rejectedtx`,
  };
  const old = await launch(context, { directory, set });
  const file = await old.ready();
  const sender = await createPeer({ context, topics: [TOPIC], listen: false });
  await dialAgain(sender, file, [TOPIC]);
  await sender.publish(TOPIC, subtreeData(sender.id, 0));
  const waits = (pod: Pod) =>
    waitFor(async () => (await pod.readiness())?.text.includes('1 subtrees wait for Kafka'), {
      what: 'a record that waits',
      timeoutMs: 60_000,
    });
  await waits(old);
  const next = await launch(context, { directory, set });
  await hasSaid(next, /^ready$/);
  await waits(next);
  assert.equal(old.child.exitCode, null, old.stdout);
  assert.match((await old.readiness())?.text ?? '', /handed over DATADIR to/);
  await ended(old);
});

test('of several that come at once one has the directory in the end, and each had it once at the most', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  const others = await Promise.all([1, 2, 3].map(() => launch(context, { directory })));
  const all = [old, ...others];
  const idle = async () => {
    const told = await Promise.all(all.map((pod) => pod.readiness()));
    return all.filter((_, index) => told[index]?.text.includes('handed over DATADIR'));
  };
  await waitFor(async () => (await idle()).length === 3, {
    what: 'three that have given way',
    timeoutMs: 120_000,
  });
  const left = await idle();
  const last = all.find((pod) => !left.includes(pod)) ?? assert.fail();
  await isReady(last);
  const times = (pod: Pod, text: RegExp) => pod.lines().filter(({ msg }) => text.test(String(msg))).length;
  // One that comes just when the directory is between two of the others gets it at once, and says nothing of it. What it gives up it says.
  for (const pod of left) await hasSaid(pod, /^DATADIR is handed over$/);
  for (const pod of left) await ended(pod);
  for (const pod of all) {
    assert.equal(times(pod, /^DATADIR is handed over$/), pod === last ? 0 : 1, pod.stdout);
    assert.ok(times(pod, /^DATADIR (was handed over to|is free)/) <= (pod === old ? 0 : 1), pod.stdout);
    assert.equal(times(pod, /DATADIR lay free/), 0, pod.stdout);
  }
  await isReady(last);
});

test('where the socket leads nowhere, as on another machine, a file in the directory is asked', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  rmSync(join(directory, 'control.sock'));
  const next = await launch(context, { directory });
  await isReady(next);
  assert.match((await old.readiness())?.text ?? '', /handed over DATADIR to/);
  await ended(old);
});

test('where the path of the directory is longer than that of a socket may be, its sockets are in it all the same', async (context) => {
  const directory = join(temporaryDirectory(context), 'x'.repeat(120));
  mkdirSync(directory);
  const old = await launch(context, { directory });
  await isReady(old);
  const { controlSocket } = runFileIn(directory);
  assert.equal(controlSocket, join(directory, 'control.sock'));
  assert.equal((await askServer(controlSocket, 'level', { level: 'info' })).level, 'info');
  const next = await launch(context, { directory });
  await isReady(next);
  assert.match((await old.readiness())?.text ?? '', /handed over DATADIR to/);
  await ended(old);
  for (const name of ['control.sock', 'frames.sock', 'broker.sock'])
    assert.ok(lstatSync(join(directory, name)).isSocket(), name);
});

test('garbage, strangers’ requests and a crowd on its socket take the directory from nobody, and keep it from nobody', async (context) => {
  const directory = temporaryDirectory(context);
  const old = await launch(context, { directory });
  await isReady(old);
  const { request } = new Tenure({ waitMs: 1, version: 'old', formats: {} });
  const asked = (params: unknown) => `${JSON.stringify({ id: 1, method: 'handOver', params })}\n`;
  for (const bytes of [
    '\u0000\u0001garbage\n'.repeat(100),
    asked(null),
    asked({ confirmed: true }),
    asked({ ...request, confirmed: 'yes' }),
    'x'.repeat(100_000),
  ]) {
    await knock(context, directory, bytes);
  }
  const connection = new ControlConnection(join(directory, 'control.sock'));
  const answer = await connection.ask('handOver', { ...request, confirmed: true });
  assert.equal(answer.granted ? 'granted' : answer.refusal, 'format');
  connection.leave();
  await isReady(old);
  // They say nothing and stay.
  for (let count = 0; count < 60; count++) await knock(context, directory, '');
  const next = await launch(context, { directory });
  await isReady(next);
  await ended(old);
});
