/**
 * CPU time a thread, from Linux's own books. Loaded into every thread of the measured process (`--import`), where each
 * leaves a file that says which of the system's threads it is; elsewhere than on Linux only the process is measured.
 */

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, workerData } from 'node:worker_threads';

/** Folder of those files. */
const FOLDER = 'TERANODE_P2P_BENCH_THREADS';
const TICKS_A_SECOND = 100;

/** What a thread is, by what it was given at birth. */
function roleOf(data: unknown): string {
  const given = (data ?? {}) as Record<string, unknown>;
  if ('journalPath' in given) return 'publisher';
  if ('settings' in given) return 'checkers';
  return 'embedded broker';
}

function ownThread(): string | undefined {
  try {
    return readlinkSync('/proc/thread-self').split('/').at(-1);
  } catch {
    return undefined;
  }
}

const folder = process.env[FOLDER];
const thread = ownThread();
if (folder !== undefined && thread !== undefined && !isMainThread)
  writeFileSync(join(folder, thread), roleOf(workerData));

/** CPU seconds, in steps of 10 ms, of the process or thread whose `stat` is in `path`. Throws where it has ended. */
export function cpuSeconds(path: string): number {
  const stat = readFileSync(join(path, 'stat'), 'utf8');
  // The name, in brackets, may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
}

/**
 * CPU seconds of the thread whose books are in `path`: to the nanosecond where the kernel keeps `schedstat`, whose count in a
 * process's own folder is that of its first thread alone, else in steps of 10 ms. Throws where it has ended.
 */
function threadCpuSeconds(path: string): number {
  try {
    const [nanoseconds] = readFileSync(join(path, 'schedstat'), 'utf8').split(' ');
    return Number(nanoseconds) / 1e9;
  } catch {
    return cpuSeconds(path);
  }
}

/** CPU seconds since their start: of this process's threads by role, and of `others`, processes by id, as one. */
export function cpuByRole(others: readonly number[]): Record<string, number> {
  const { user, system } = process.cpuUsage();
  if (folder === undefined || thread === undefined) return { process: (user + system) / 1e6 };
  const roles: Record<string, number> = {};
  const add = (role: string, seconds: number) => {
    roles[role] = (roles[role] ?? 0) + seconds;
  };
  const known = new Set(readdirSync(folder));
  for (const tid of readdirSync('/proc/self/task')) {
    const role = known.has(tid) ? readFileSync(join(folder, tid), 'utf8') : undefined;
    try {
      add(
        tid === String(process.pid) ? 'main' : (role ?? 'Node’s own threads'),
        threadCpuSeconds(join('/proc/self/task', tid)),
      );
    } catch {
      // It has ended meanwhile.
    }
  }
  for (const pid of others) add('notification server', cpuSeconds(join('/proc', String(pid))));
  return roles;
}

/** Environment of a process whose threads are to leave their files in `into`: worker pools do not hand on options of the command line. */
export function inEveryThread(into: string): Record<string, string> {
  const options = `${process.env.NODE_OPTIONS ?? ''} --import=${import.meta.url}`;
  return { NODE_OPTIONS: options.trim(), [FOLDER]: into };
}
