/** Proxies as programs, and what HAProxy tells of its servers. */

import { type ChildProcess, spawn } from 'node:child_process';
import type { TestContext } from 'node:test';

/** Starts a program in `directory`; ended with the test, which shows what it said. */
export function run(
  t: TestContext,
  command: string,
  args: readonly string[],
  directory: string,
): ChildProcess {
  const child = spawn(command, args, {
    cwd: directory,
    env: { PATH: `${process.env.PATH}:/usr/sbin`, HOME: directory, XDG_DATA_HOME: directory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (text) => (output += text));
  child.on('error', (error) => (output += error.message));
  t.after(async () => {
    if (child.exitCode === null && child.pid !== undefined) {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    }
    t.diagnostic(output.slice(-2000));
  });
  return child;
}

/** What is added to a configuration of HAProxy, so that it tells its figures at `port`. */
export const statsFrontend = (port: number): string =>
  `frontend stats\n    bind 127.0.0.1:${port}\n    stats enable\n    stats uri /\n`;

/** HAProxy's figures of `server` in `backend`, by their names there; rejects while it does not tell them. */
export async function serverFigures(
  port: number,
  backend: string,
  server: string,
): Promise<Readonly<Record<string, string>>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/;csv`)).text();
  const [names = [], ...rows] = text
    .replace('# ', '')
    .split('\n')
    .map((line) => line.split(','));
  const found = rows.find(([of, name]) => of === backend && name === server);
  if (found === undefined) throw new Error(`HAProxy has no ${backend}/${server}`);
  return Object.fromEntries(names.map((name, index) => [name, found[index] ?? '']));
}
