/** P9: from `teranode-p2p start` to the first 200 of readiness, with every neighbour embedded and an empty data directory. */

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nodeCommand } from '../src/shared/node-command.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const RUNS = 5;
const READY_MS = 60_000;
/** Asking costs the machine that starts the server too. */
const EVERY_MS = 20;
const COMMAND = fileURLToPath(new URL('../../bin/teranode-p2p.mjs', import.meta.url));

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

function statusOf(port: number): Promise<number> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/health/readiness', timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    request.once('timeout', () => request.destroy()).once('error', () => resolve(0));
  });
}

function start(directory: string, healthPort: number): ChildProcess {
  const [node, ...before] = nodeCommand();
  const settings = {
    DATADIR: directory,
    network: 'regtest',
    clientName: 'bench',
    p2p_ip: '127.0.0.1',
    p2p_listen_addresses: '127.0.0.1',
    p2p_port: '0',
    p2p_allow_private_ips: 'true',
    p2p_grpcListenAddress: '127.0.0.1:0',
    p2p_httpListenAddress: '127.0.0.1:0',
    profilerAddr: '127.0.0.1:0',
    health_check_httpListenAddress: `127.0.0.1:${healthPort}`,
    asset_httpAddress: 'http://127.0.0.1:8090/api/v1',
    logLevel: 'warn',
  };
  const set = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  return spawn(node, [...before, COMMAND, 'start', ...set], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Milliseconds to ready, and to be gone after SIGTERM. */
async function measure(): Promise<{ readonly ready: number; readonly gone: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'teranode-p2p-bench-'));
  const port = await freePort();
  const began = performance.now();
  const child = start(directory, port);
  const exited = once(child, 'exit');
  try {
    while ((await statusOf(port)) !== 200) {
      if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
      if (performance.now() - began > READY_MS) throw new Error(`not ready after ${READY_MS / 1000} s`);
      await delay(EVERY_MS);
    }
    const ready = performance.now() - began;
    const told = performance.now();
    child.kill('SIGTERM');
    await exited;
    return { ready, gone: performance.now() - told };
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

export async function run({ runs = RUNS, progress }: BenchmarkOptions): Promise<BenchmarkResult> {
  const samples: { readonly ready: number; readonly gone: number }[] = [];
  for (let count = 1; count <= runs; count++) {
    progress(`start ${count} of ${runs}`);
    samples.push(await measure());
  }
  const ready = figureOf(
    'from the command to ready',
    'ms',
    samples.map((sample) => sample.ready),
  );
  const gone = figureOf(
    'from SIGTERM to gone',
    'ms',
    samples.map((sample) => sample.gone),
  );
  const seconds = ready.median / 1000;
  return {
    id: 'P9',
    title: 'Start to ready, embedded',
    figures: [ready, gone],
    ratios: [{ name: 's to ready', value: seconds, aim: '≤ 2', met: seconds <= 2 }],
    dropped: 0,
    notes: [
      `Node's own start is in it; readiness is asked every ${EVERY_MS} ms; an empty data directory each time`,
    ],
  };
}
