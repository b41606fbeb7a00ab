/** The built image, started as an engine would: its file system, its configuration, a fresh PID 1, Docker's capabilities. Linux, as root, with bubblewrap. */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { waitFor, within } from '../support/wait.js';

/** As OCI's specification of images names it; `Healthcheck` is Docker's. */
export interface ImageConfig {
  readonly Env?: readonly string[];
  readonly Entrypoint?: readonly string[];
  readonly Cmd?: readonly string[];
  readonly WorkingDir?: string;
  readonly User?: string;
  readonly ExposedPorts?: Readonly<Record<string, object>>;
  readonly Volumes?: Readonly<Record<string, object>>;
  readonly StopSignal?: string;
  readonly Healthcheck?: { readonly Test: readonly string[] };
}

/** `.ci/image` names the folder that it has made: the image's file system in `root`, its configuration in `config.json`. */
const IMAGE = process.env.IMAGE ?? '';
if (IMAGE === '') throw new Error('IMAGE names no unpacked image: run .ci/image');

/** The image's file system. */
export const ROOT = join(IMAGE, 'root');
export const CONFIG = JSON.parse(readFileSync(join(IMAGE, 'config.json'), 'utf8')) as ImageConfig;

/** Of the quickstart: what its script waits for before that is the engine's business here. */
export const ENTRYPOINT = '#!/bin/bash\nset -eo pipefail\nexec /app/teranode.run "$@"\n';

/** What Docker leaves a container's root. */
const CAPABILITIES = [
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'NET_RAW',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
];

export interface ContainerOptions {
  readonly entrypoint?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folder or file outside to path inside. */
  readonly volumes?: Readonly<Record<string, string>>;
  /** As `user:` and `runAsUser`: then there are no capabilities either. */
  readonly user?: number;
  readonly capabilities?: readonly string[];
  /** As `read_only: true` with a tmpfs at /tmp. */
  readonly readOnly?: boolean;
}

export interface Container {
  stdout: string;
  stderr: string;
  /** Of its PID 1, outside. */
  pid(): Promise<number>;
  /** As the engine's stop: the image's stop signal to PID 1, rejects where it has not ended after `killMs`, a minute unless told. */
  stop(killMs?: number): Promise<void>;
  readonly code: Promise<number | null>;
  /** A command in the running container, as its health check is: exit code and output. */
  exec(...command: string[]): Promise<{ code: number; stdout: string; stderr: string }>;
}

/** Starts a container; killed when the test ends. */
export function start(
  context: Pick<TestContext, 'after'>,
  {
    entrypoint = CONFIG.Entrypoint ?? [],
    args = CONFIG.Cmd ?? [],
    env = {},
    volumes = {},
    user,
    capabilities = CAPABILITIES,
    readOnly = false,
  }: ContainerOptions = {},
): Container {
  const ids: readonly string[] =
    user === undefined ? [] : ['--reuid', String(user), '--regid', String(user), '--clear-groups'];
  const lowered: readonly string[] =
    user === undefined ? [] : ['setpriv', ...ids, '--inh-caps=-all', '--bounding-set=-all'];
  const kept = user === undefined ? capabilities : CAPABILITIES;
  const variables: Readonly<Record<string, string>> = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ...Object.fromEntries((CONFIG.Env ?? []).map((line) => line.split(/=(.*)/s).slice(0, 2))),
    ...env,
  };
  const child = spawn(
    'bwrap',
    [
      ...['--unshare-pid', '--unshare-ipc', '--unshare-uts', '--as-pid-1', '--die-with-parent'],
      ...[
        readOnly ? '--ro-bind' : '--bind',
        ROOT,
        '/',
        '--proc',
        '/proc',
        '--dev',
        '/dev',
        '--tmpfs',
        '/tmp',
      ],
      // Read by all, as it is where an engine makes it.
      ...['--chmod', '1777', '/tmp'],
      ...Object.entries(volumes).flatMap(([outside, inside]) => ['--bind', outside, inside]),
      ...['--cap-drop', 'ALL', ...kept.flatMap((name) => ['--cap-add', `CAP_${name}`])],
      ...['--chdir', CONFIG.WorkingDir ?? '/', '--clearenv', '--info-fd', '3'],
      ...Object.entries(variables).flatMap(([name, value]) => ['--setenv', name, value]),
      '--',
      ...lowered,
      ...entrypoint,
      ...args,
    ],
    { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] },
  ) as ChildProcess & { readonly stdio: readonly (NodeJS.ReadableStream | null)[] };
  const code = new Promise<number | null>((done) => child.once('close', done));
  context.after(async () => {
    // Not bubblewrap alone: a process that changes its user is told of no parent's death any more.
    if (child.exitCode === null && child.signalCode === null) process.kill(await pid(), 'SIGKILL');
    await code;
  });
  let told = '';
  child.stdio[3]?.on('data', (data) => (told += data));
  const pid = async () => {
    const [, number = ''] = await waitFor(() => /"child-pid":\s*(\d+)/.exec(told), {
      what: `a container (${container.stderr})`,
    });
    return Number(number);
  };
  const container: Container = {
    stdout: '',
    stderr: '',
    pid,
    code,
    async stop(killMs = 60_000) {
      process.kill(await pid(), (CONFIG.StopSignal ?? 'SIGTERM') as NodeJS.Signals);
      await within(code, killMs, 'the end of a container');
    },
    async exec(...command) {
      // With the container's own environment, folder, user and capabilities, as an engine does it.
      const bounding = ['-all', ...(user === undefined ? kept.map((name) => `+${name.toLowerCase()}`) : [])];
      const within = [
        ...['--target', String(await pid()), '--mount', '--pid', '--root', '--wd', '--'],
        ...['setpriv', ...ids, '--inh-caps=-all', `--bounding-set=${bounding.join(',')}`],
      ];
      const set = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
      return promisify(execFile)('nsenter', [...within, 'env', '-i', ...set, ...command]).then(
        ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
        (error: { code: number; stdout: string; stderr: string }) => error,
      );
    },
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (container.stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (container.stderr += text));
  return container;
}

/** Of a process outside: whose it is and what it may do, as the kernel says. */
export function powersOf(pid: number): {
  uids: string;
  gids: string;
  groups: string;
  capabilities: bigint[];
  noNewPrivileges: boolean;
} {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const line = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';
  return {
    uids: line('Uid').replace(/\s+/g, ' '),
    gids: line('Gid').replace(/\s+/g, ' '),
    groups: line('Groups').trim(),
    capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].map((name) => BigInt(`0x${line(name)}`)),
    noNewPrivileges: line('NoNewPrivs') === '1',
  };
}
