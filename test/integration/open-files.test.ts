/** What becomes of clients when the processes may have few files and sockets open. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { RunFile } from '../../src/shared/process/run-file.js';
import { launchServer } from '../support/server-process.js';
import { waitFor, within } from '../support/wait.js';

const OPEN_FILES = 256;
const CLIENTS = 400;

/** `frames`: greeted; else the status it was refused with, or the error of its connection. */
function outcomeOf(socket: WebSocket): Promise<string> {
  return new Promise((resolve) => {
    socket.once('message', () => resolve('frames'));
    socket.once('unexpected-response', (_, response) => resolve(String(response.statusCode)));
    socket.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
  });
}

async function readinessOf({ ports }: RunFile): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${ports.health}/health/readiness`);
  return { status: response.status, text: await response.text() };
}

/** Seconds of CPU that a process has used (proc_pid_stat(5), in ticks of a hundredth). */
function cpuOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Of one core, over a second. */
async function loadOf(pid: number): Promise<number> {
  const [cpu, began] = [cpuOf(pid), performance.now()];
  await delay(1000);
  return (cpuOf(pid) - cpu) / ((performance.now() - began) / 1000);
}

async function crowd(context: TestContext, transport: string): Promise<void> {
  const run = launchServer(context, {
    openFiles: OPEN_FILES,
    env: { NODE_V8_COVERAGE: '' },
    set: {
      p2p_notification_servers: '1',
      p2p_websocket_transport: transport,
      p2p_websocket_max_connections: '20000',
    },
  });
  const file = await run.ready();
  await waitFor(async () => (await readinessOf(file)).status === 200, { what: 'readiness' });
  const server = run.lines().find(({ msg }) => msg === 'notification server listens')?.pid as number;
  const said = run
    .lines()
    .filter(({ level, msg }) => level === 40 && /limit of open files/.test(String(msg)));
  assert.ok(
    said.some(({ msg }) => /p2p_websocket_max_connections/.test(String(msg))),
    'a warning at the start',
  );
  const sockets = Array.from(
    { length: CLIENTS },
    () => new WebSocket(`ws://127.0.0.1:${file.ports.http}/p2p-ws`),
  );
  context.after(() => {
    for (const socket of sockets) socket.terminate();
  });
  const outcomes = await within(Promise.all(sockets.map(outcomeOf)), 30_000, 'an outcome for each client');
  const counts = Object.fromEntries(
    [...new Set(outcomes)].map((outcome) => [outcome, outcomes.filter((each) => each === outcome).length]),
  );
  context.diagnostic(`${transport}: ${JSON.stringify(counts)}`);
  const inside = counts.frames ?? 0;
  assert.ok(inside > OPEN_FILES / 3 && inside < OPEN_FILES, `${inside} clients are served`);
  assert.deepEqual(
    Object.keys(counts).filter(
      (outcome) => !['frames', '503', 'ECONNREFUSED', 'ECONNRESET'].includes(outcome),
    ),
    [],
  );

  const full = await readinessOf(file);
  assert.equal(full.status, 503, full.text);
  assert.match(full.text, /open files run out.*ulimit/);
  const load = await loadOf(server);
  assert.ok(load < 0.5, `the notification server uses ${load} of a core with nothing to do`);
  // Those that are in are served on.
  const served = sockets.filter((_, index) => outcomes[index] === 'frames');
  await Promise.all(
    served.map((socket) => within(new Promise((heard) => socket.once('message', heard)), 60_000, 'a frame')),
  );

  for (const socket of served) socket.terminate();
  await waitFor(async () => (await readinessOf(file)).status === 200, {
    what: 'readiness again',
    timeoutMs: 60_000,
  });
  // Such as from an attacker: nothing is ever said on these.
  const silent = Array.from({ length: CLIENTS }, () =>
    connect(file.ports.http, '127.0.0.1').on('error', () => {}),
  );
  context.after(() => {
    for (const socket of silent) socket.destroy();
  });
  await waitFor(async () => (await readinessOf(file)).status === 503, { what: 'readiness to say so' });
  const idle = await loadOf(server);
  assert.ok(idle < 0.5, `the notification server uses ${idle} of a core under silent connections`);
  await waitFor(async () => (await readinessOf(file)).status === 200, {
    what: 'readiness once the silent ones are gone',
    timeoutMs: 60_000,
  });
  const late = new WebSocket(`ws://127.0.0.1:${file.ports.http}/p2p-ws`);
  context.after(() => late.terminate());
  assert.equal(await within(outcomeOf(late), 30_000, 'a client that comes later'), 'frames');
  run.child.kill('SIGTERM');
  assert.equal((await within(run.exit, 30_000, 'the end of the server')).code, 0, run.stderr);
}

test('where open files run out those beyond are refused at once, those within are served, readiness says so, and no core spins', async (context) => {
  await crowd(context, 'auto');
});

test('the same through ws', async (context) => {
  await crowd(context, 'ws');
});
