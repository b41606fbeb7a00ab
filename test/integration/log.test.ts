/** What becomes of standard output is no affair of the server's: full disk, a pipe that nobody reads, one that is broken. */

import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, closeSync, openSync } from 'node:fs';
import { resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import { readRunFile } from '../../src/shared/process/run-file.js';
import { sumOf } from '../support/gossip.js';
import { launchServer } from '../support/server-process.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

/** A server that logs much, whose standard output is `stdout`. */
function launch(
  context: TestContext,
  stdout: 'pipe' | 'fifo' | 'other user’s fifo' | number,
  directory: string,
): ChildProcess {
  const settings = {
    network: 'regtest',
    DATADIR: directory,
    logLevel: 'trace',
    p2p_listen_addresses: '127.0.0.1',
    p2p_port: '0',
    p2p_allow_private_ips: 'true',
    p2p_checkers: '1',
    p2p_notification_servers: '1',
    p2p_heartbeat_interval: '200ms',
    p2p_embedded_mining_interval: '20ms',
    p2p_embedded_subtree_interval: '5ms',
    p2p_grpcListenAddress: '',
    p2p_httpListenAddress: '127.0.0.1:0',
    health_check_httpListenAddress: '127.0.0.1:0',
    profilerAddr: '127.0.0.1:0',
    asset_httpAddress: 'http://127.0.0.1:8090/api/v1',
    shutdown_timeout: '10s',
  };
  const args = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const program = [process.execPath, resolve('bin/teranode-p2p.mjs'), 'start', ...args];
  // Node's own pipes are sockets.
  const toFifo = ['bash', '-c', 'exec "$@" > >(exec sleep 150)', 'bash'];
  const other = stdout === 'other user’s fifo' && process.getuid?.() === 0;
  if (other) chownSync(directory, 65_534, 65_534);
  const asOther = other ? ['setpriv', '--reuid=65534', '--clear-groups'] : [];
  const isFifo = stdout === 'fifo' || stdout === 'other user’s fifo';
  const command = isFifo ? [...toFifo, ...asOther, ...program] : program;
  const [file = '', ...rest] = command;
  const child = spawn(file, rest, {
    env,
    stdio: ['ignore', isFifo ? 'ignore' : stdout, 'inherit'],
  });
  context.after(() => child.kill('SIGKILL'));
  return child;
}

/** The first `count` fields of a line, by name. */
const fieldsOf = (line: object, count: number): string => Object.keys(line).slice(0, count).sort().join();

const bodyOf = async (port: number | undefined, path: string) =>
  (await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(10_000) })).text();

/** Asserts that it serves on after it has dropped lines, and that `signal` ends it in its time. */
async function servesOn(
  context: TestContext,
  {
    child,
    directory,
    signal,
    before,
  }: { child: ChildProcess; directory: string; signal: NodeJS.Signals; before?: () => Promise<void> },
): Promise<void> {
  const exit = once(child, 'exit');
  const { ports } = await waitFor(
    () => {
      assert.equal(child.exitCode, null, 'it ended at its start');
      return readRunFile(directory);
    },
    { what: 'a server', timeoutMs: 60_000 },
  );
  const dropped = async () =>
    sumOf(await bodyOf(ports.metrics, '/metrics'), 'teranode_p2p_log_lines_dropped_total');
  await waitFor(async () => (await dropped()) > 0, {
    what: 'dropped lines',
    timeoutMs: 60_000,
    everyMs: 200,
  });
  const socket = new WebSocket(`ws://127.0.0.1:${ports.http}/p2p-ws`);
  context.after(() => socket.terminate());
  let blocks = 0;
  socket.on('message', (data) => {
    if ((JSON.parse(String(data)) as { type: string }).type === 'block') blocks++;
  });
  await waitFor(() => blocks >= 10, { what: 'ten blocks on the feed', timeoutMs: 30_000 });
  await bodyOf(ports.health, '/health/liveness');
  await before?.();
  child.kill(signal);
  const [code] = await within(exit, 20_000, `the end after ${signal}`);
  assert.equal(code, 0);
}

for (const [stdout, what] of [
  ['pipe', 'a socket'],
  ['fifo', 'a pipe'],
  ['other user’s fifo', 'a pipe of another user'],
] as const) {
  test(`a server whose log is ${what} that nobody reads serves on, counts what it drops, and ends in its time`, async (context) => {
    const directory = temporaryDirectory(context);
    const child = launch(context, stdout, directory);
    child.stdout?.pause();
    let log = '';
    // Somebody reads again: what was lost is told, and every line is whole.
    const before = async () => {
      child.stdout?.setEncoding('utf8').on('data', (text) => (log += text));
      child.stdout?.resume();
      const told = /"lines":[1-9]\d*,"msg":"log lines were dropped"/;
      await waitFor(() => told.test(log), { what: 'word of what was dropped', timeoutMs: 30_000 });
      for (const line of log.split('\n').slice(0, -1)) {
        assert.equal(fieldsOf(JSON.parse(line) as object, 3), 'component,level,time', line);
      }
    };
    await servesOn(context, {
      child,
      directory,
      signal: 'SIGTERM',
      ...(child.stdout === null ? {} : { before }),
    });
  });
}

test('a server whose log goes to a full disk serves on, counts what it drops, and ends at a hang-up as well', async (context) => {
  const directory = temporaryDirectory(context);
  // Every write to it fails as on a full disk.
  const full = openSync('/dev/full', 'a');
  const child = launch(context, full, directory);
  closeSync(full);
  await servesOn(context, { child, directory, signal: 'SIGHUP' });
});

test('a server whose log has a broken pipe serves on', async (context) => {
  const directory = temporaryDirectory(context);
  const child = launch(context, 'pipe', directory);
  child.stdout?.once('data', () => child.stdout?.destroy());
  await servesOn(context, { child, directory, signal: 'SIGTERM' });
});

test('every line of every process and thread has the same fields before its own: which node, and which of its parts', async (context) => {
  const run = launchServer(context, {
    env: { NODE_V8_COVERAGE: '' },
    set: {
      clientName: 'alice',
      logLevel: 'trace',
      p2p_notification_servers: '1',
      kafka_subtreesConfig: 'kafka://127.0.0.1:1/subtrees',
    },
  });
  await run.ready();
  const spoke = (component: string) => () => run.lines().some((line) => line.component === component);
  // The publisher's thread, which cannot reach Kafka, and a notification server's process.
  for (const component of ['publisher', 'notification-server', 'server']) {
    await waitFor(spoke(component), { what: `a line of ${component}`, timeoutMs: 30_000 });
  }
  run.child.kill('SIGTERM');
  assert.equal((await within(run.exit, 30_000, 'the end')).code, 0, run.stderr);
  const wrong = run
    .lines()
    .filter((line) => fieldsOf(line, 4) !== 'component,level,node,time' || line.node !== 'alice');
  assert.deepEqual(wrong, []);
});

test('without a name of its own a node is left out of every line', async (context) => {
  const run = launchServer(context, { set: { clientName: '', p2p_notification_servers: '1' } });
  await run.ready();
  run.child.kill('SIGTERM');
  await within(run.exit, 30_000, 'the end');
  const wrong = run.lines().filter((line) => fieldsOf(line, 3) !== 'component,level,time' || 'node' in line);
  assert.deepEqual(wrong, []);
});
