/**
 * P9: from `teranode-p2p start` to the first 200 of readiness, with every neighbour embedded and an empty data directory; and the CPU time of
 * commands that are run often.
 */

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { nodeCommand } from '../src/shared/ipc/node-command.js';
import { type BenchmarkOptions, type BenchmarkResult, figureOf } from './result.js';

const RUNS = 5;
const AIMS = { ready: 1.5, command: 0.15 };
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

/** Run in a program before its own code: writes the CPU ms that it has used when it ends. */
const TELLS_CPU = `--import=data:text/javascript,${encodeURIComponent(
  "import { writeFileSync } from 'node:fs'; process.on('exit', () => { const { user, system } = process.cpuUsage(); writeFileSync(process.env.BENCH_CPU, String((user + system) / 1000)); });",
)}`;

/** CPU ms of a program that Node runs, from its start to its end. Throws where it fails. */
function cpuMs(args: readonly string[], directory: string): number {
  const file = join(directory, 'cpu');
  const [node, ...before] = nodeCommand();
  const { status, stderr } = spawnSync(node, [...before, TELLS_CPU, ...args], {
    env: { ...process.env, BENCH_CPU: file },
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`);
  return Number(readFileSync(file, 'utf8'));
}

interface Sample {
  /** Ms to ready, and to be gone after SIGTERM. */
  readonly ready: number;
  readonly gone: number;
  /** CPU ms. */
  readonly bare: number;
  readonly help: number;
  readonly health: number;
}

async function measure(): Promise<Sample> {
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
    const address = `health_check_httpListenAddress=127.0.0.1:${port}`;
    const commands = {
      bare: cpuMs(['-e', '0'], directory),
      help: cpuMs([COMMAND, '--help'], directory),
      health: cpuMs([COMMAND, 'health', '--set', `DATADIR=${directory}`, '--set', address], directory),
    };
    const told = performance.now();
    child.kill('SIGTERM');
    await exited;
    return { ready, gone: performance.now() - told, ...commands };
  } finally {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

export async function run({ runs = RUNS, progress }: BenchmarkOptions): Promise<BenchmarkResult> {
  const samples: Sample[] = [];
  for (let count = 1; count <= runs; count++) {
    progress(`start ${count} of ${runs}`);
    samples.push(await measure());
  }
  const figure = (name: string, unit: string, of: (sample: Sample) => number) =>
    figureOf(name, unit, samples.map(of));
  const ready = figure('from the command to ready', 'ms', (sample) => sample.ready);
  const seconds = ready.median / 1000;
  const commands = (['help', 'health'] as const).map((name) => ({
    name: name === 'help' ? '--help' : name,
    over: figure('', 's', (sample) => (sample[name] - sample.bare) / 1000).median,
  }));
  return {
    id: 'P9',
    title: 'Start to ready, embedded, and the CPU time of commands',
    figures: [
      ready,
      figure('from SIGTERM to gone', 'ms', (sample) => sample.gone),
      figure('node -e 0', 'CPU ms', (sample) => sample.bare),
      figure('teranode-p2p --help', 'CPU ms', (sample) => sample.help),
      figure('teranode-p2p health', 'CPU ms', (sample) => sample.health),
    ],
    ratios: [
      { name: 's to ready', value: seconds, aim: `≤ ${AIMS.ready}`, met: seconds <= AIMS.ready },
      ...commands.map(({ name, over }) => ({
        name: `s of CPU of ${name} over a bare Node’s`,
        value: over,
        aim: `≤ ${AIMS.command}`,
        met: over <= AIMS.command,
      })),
    ],
    dropped: 0,
    notes: [
      `Node's own start is in it; readiness is asked every ${EVERY_MS} ms; an empty data directory each time`,
    ],
  };
}
