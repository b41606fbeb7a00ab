/** A whole server as an operator runs it: `teranode-p2p start` in a process of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { TestContext } from 'node:test';
import { type RunFile, readRunFile } from '../../src/shared/process/run-file.js';
import { temporaryDirectory } from './temporary.js';
import { waitFor, within } from './wait.js';

const BIN = join('bin', 'teranode-p2p.mjs');

/** Settings that touch nothing but loopback, every port free. */
const SETTINGS = {
  network: 'regtest',
  clientName: 'process',
  p2p_listen_addresses: '127.0.0.1',
  p2p_port: '0',
  p2p_allow_private_ips: 'true',
  p2p_bootstrap_peers: '',
  p2p_heartbeat_interval: '200ms',
  p2p_checkers: '2',
  p2p_grpcListenAddress: '127.0.0.1:0',
  p2p_httpListenAddress: '127.0.0.1:0',
  health_check_httpListenAddress: '127.0.0.1:0',
  profilerAddr: '127.0.0.1:0',
  asset_httpAddress: 'http://127.0.0.1:8090/api/v1',
};

export interface ServerProcess {
  readonly child: ChildProcess;
  readonly directory: string;
  stdout: string;
  stderr: string;
  /** Settles when the process is gone: its exit code, or null and the signal. */
  readonly exit: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Resolves with the addresses of the server once it is ready; rejects when it ends instead. */
  ready(): Promise<RunFile>;
  /** Lines of the log, parsed; what is no JSON is left out. */
  lines(): Record<string, unknown>[];
}

export interface ProcessOptions {
  readonly directory?: string;
  /** Checkout whose build is started; the working directory's unless told. */
  readonly root?: string;
  readonly set?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly uid?: number;
  /** No file grows past this many KiB: what a full disk looks like to who writes, without privileges. */
  readonly fileKib?: number;
  /** Files and sockets that each of its processes may have open at the most. */
  readonly openFiles?: number;
  /** Whether it leads a process group of its own, which `process.kill(-pid)` reaches as a whole. */
  readonly leadsGroup?: boolean;
  /** What is run on the settings; `start` unless told. */
  readonly command?: readonly string[];
}

/** Starts a server; killed when the test ends. */
export function launchServer(
  context: Pick<TestContext, 'after'>,
  {
    directory = temporaryDirectory(context),
    root = '.',
    set = {},
    env = {},
    uid,
    fileKib,
    openFiles,
    leadsGroup = false,
    command: told = ['start'],
  }: ProcessOptions = {},
): ServerProcess {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  // Another user cannot write where this run gathers its coverage; Node hands the variable on unless it is set.
  if (uid !== undefined) inherited.NODE_V8_COVERAGE = '';
  const settings = Object.entries({ ...SETTINGS, DATADIR: directory, ...set });
  const args = settings.flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const program = [process.execPath, resolve(root, BIN), ...told, ...args];
  const limits = [
    ...(fileKib === undefined ? [] : [`trap '' XFSZ; ulimit -f ${fileKib}`]),
    ...(openFiles === undefined ? [] : [`ulimit -n ${openFiles}`]),
  ];
  const [command = '', ...rest] =
    limits.length === 0 ? program : ['bash', '-c', [...limits, 'exec "$@"'].join('; '), 'bash', ...program];
  const child = spawn(command, rest, {
    env: { ...inherited, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: leadsGroup,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  const exit = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done) =>
    child.once('close', (code, signal) => done({ code, signal })),
  );
  context.after(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  const run: ServerProcess = {
    child,
    directory,
    stdout: '',
    stderr: '',
    exit,
    async ready() {
      const file = waitFor(() => (child.exitCode === null ? readRunFile(directory) : 'ended'), {
        what: `a server on ${directory}`,
        timeoutMs: 60_000,
      });
      const found = await file;
      if (found === 'ended') throw new Error(`the server ended: ${run.stderr}${run.stdout.slice(-2000)}`);
      return found;
    },
    lines: () =>
      run.stdout.split('\n').flatMap((line) => {
        try {
          return [JSON.parse(line) as Record<string, unknown>];
        } catch {
          return [];
        }
      }),
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (run.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (run.stderr += text));
  return run;
}

/** What a server that cannot start says and exits with, within a minute. */
export async function refusedStart(
  context: Pick<TestContext, 'after'>,
  options: ProcessOptions,
): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const run = launchServer(context, options);
  const { code } = await within(run.exit, 60_000, 'a start that is to be refused');
  return { code, stderr: run.stderr, stdout: run.stdout };
}
