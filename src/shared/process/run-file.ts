/** `DATADIR/run.json`: how others on this machine reach a running server. Written once it is ready, removed at its stop. */

import { readFileSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

export interface RunFile {
  readonly pid: number;
  /** Where the process id means something: {@link pidScope}. */
  readonly place?: string;
  /** Unix ms. */
  readonly startedAt: number;
  /** Base58. */
  readonly peerId: string;
  /** Local socket of the control server. */
  readonly controlSocket: string;
  /** Local socket of the embedded broker, where one runs. */
  readonly brokerSocket?: string;
  /** Ports that were bound, also where the settings said 0. */
  readonly ports: {
    readonly p2p: number;
    readonly grpc?: number;
    readonly http: number;
    readonly health?: number;
    readonly metrics?: number;
    /** Of further parts, by the names that they give. */
    readonly [name: string]: number | undefined;
  };
}

const NAME = 'run.json';

/** Writes the file at once and whole, mode 0600. Returns what removes it again, unless another server's is there by then. */
export function writeRunFile(dataDirectory: string, content: RunFile): () => void {
  const path = join(dataDirectory, NAME);
  const partial = `${path}.${process.pid}`;
  const text = `${JSON.stringify(content, undefined, 2)}\n`;
  writeFileSync(partial, text, { mode: 0o600 });
  renameSync(partial, path);
  return () => {
    if (textOf(path) === text) rmSync(path, { force: true });
  };
}

/** The file of a server that lives; `undefined` when there is none, it is unreadable, or its process is gone. Of one in another container only its socket tells. */
export function readRunFile(dataDirectory: string): RunFile | undefined {
  try {
    const content = JSON.parse(readFileSync(join(dataDirectory, NAME), 'utf8')) as Partial<RunFile>;
    if (typeof content.pid !== 'number' || typeof content.controlSocket !== 'string') return undefined;
    const isElsewhere = content.place !== undefined && content.place !== pidScope();
    return isElsewhere || isAlive(content.pid) ? (content as RunFile) : undefined;
  } catch {
    return undefined;
  }
}

/** In which a process id is one process and no other: host name and PID namespace. */
export function pidScope(): string {
  try {
    return `${hostname()} ${readlinkSync('/proc/self/ns/pid')}`;
  } catch {
    return hostname();
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
