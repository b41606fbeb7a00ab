/** A server in a network namespace: a process of its own there, told what to do over its channel to the test. */

import { spawn } from 'node:child_process';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SettingChanges } from '../../support/settings.js';
import { within as withDeadline } from '../../support/wait.js';
import type { Namespace } from './routers.js';

/** What the process answers. */
export interface Calls {
  readonly start: { readonly peerId: string; readonly port: number; readonly tookMs: number };
  readonly addresses: string[];
  /** Addresses of the open connections to a peer. */
  readonly connections: string[];
  readonly connect: null;
  /** Authors of the node statuses that its WebSocket clients were shown, in order. */
  readonly heard: string[];
  readonly stop: { readonly tookMs: number };
}

export interface ServerInside {
  readonly peerId: string;
  readonly startedMs: number;
  readonly port: number;
  call<C extends keyof Calls>(name: C, argument?: string): Promise<Calls[C]>;
}

const PROGRAM = fileURLToPath(new URL('./server-program.js', import.meta.url));

/** Starts a server in `namespace`; gone when the test ends. */
export async function serverInside(
  context: Pick<TestContext, 'after'>,
  namespace: Namespace,
  settings: SettingChanges,
): Promise<ServerInside> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const [command, args] = namespace.within(process.execPath, PROGRAM);
  const child = spawn(command, args, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  context.after(async () => {
    if (child.connected) child.disconnect();
    await withDeadline(gone, 60_000, 'the server to end').catch(() => child.kill('SIGKILL'));
  });
  let last = 0;
  const call = <C extends keyof Calls>(name: C, argument?: unknown): Promise<Calls[C]> => {
    const id = ++last;
    const answer = new Promise<Calls[C]>((resolve, reject) => {
      const listen = (message: { id: number; error?: string; value?: unknown }): void => {
        if (message.id !== id) return;
        child.off('message', listen as never);
        if (message.error === undefined) resolve(message.value as Calls[C]);
        else reject(new Error(message.error));
      };
      child.on('message', listen as never);
      child.send({ id, name, argument });
    });
    const ended = gone.then(() => Promise.reject(new Error(`the server ended at ${name}`)));
    return withDeadline(Promise.race([answer, ended]), 90_000, name);
  };
  const { peerId, tookMs, port } = await call('start', settings);
  return { peerId, port, startedMs: tookMs, call };
}
