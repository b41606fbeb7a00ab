/** This server where the Go service was: the package as it is installed, or, where `.ci/image` runs this, the image as the quickstart starts it. */

import { spawn } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryDirectory } from '../support/temporary.js';

export interface PlacedServer {
  /** Of its main process, as it is seen from outside. */
  pid(): Promise<number>;
  /** The end of what it said. */
  output(): string;
  /** Its exit code; undefined while it runs. */
  code(): number | null | undefined;
  readonly exit: Promise<number | null>;
}

export const UID = 1000;
const { APP = '', OWN_NODE = '', VOLUME = '', IMAGE = '' } = process.env;
/** The node's volume. */
export const DATA = IMAGE === '' ? join(APP, 'data') : VOLUME;
const KEPT = 200_000;

/** Starts it with `env` on {@link DATA}; killed when the test ends. */
export async function launch(
  context: Pick<TestContext, 'after'>,
  env: Readonly<Record<string, string>>,
): Promise<PlacedServer> {
  return IMAGE === '' ? launchPackage(context, env) : launchImage(context, env);
}

/** As another user than root, whose the files of the Go service are now, with a Node of its own. */
function launchPackage(
  context: Pick<TestContext, 'after'>,
  env: Readonly<Record<string, string>>,
): PlacedServer {
  for (const path of ['', 'p2p.key', 'p2p_peers.json']) chownSync(join(DATA, path), UID, UID);
  const user = [`--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--inh-caps=-all'];
  const child = spawn('setpriv', [...user, OWN_NODE, 'bin/teranode-p2p.mjs', 'start'], {
    cwd: APP,
    env: { PATH: '/usr/local/bin:/usr/bin:/bin', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-KEPT)));
  const exit = new Promise<number | null>((done) => child.once('exit', done));
  context.after(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  return {
    pid: async () => child.pid ?? 0,
    output: () => output,
    code: () => child.exitCode ?? undefined,
    exit,
  };
}

/** Its entrypoint script, its argument, its volume, which is root's, and its names of the other containers. */
async function launchImage(
  context: Pick<TestContext, 'after'>,
  env: Readonly<Record<string, string>>,
): Promise<PlacedServer> {
  const { ENTRYPOINT, start } = await import('../image/container.js');
  const script = join(temporaryDirectory(context), 'entrypoint.sh');
  writeFileSync(script, ENTRYPOINT, { mode: 0o755 });
  const container = start(context, {
    entrypoint: ['/app/entrypoint.sh'],
    args: ['-p2p=1'],
    env,
    volumes: { [DATA]: '/app/data', [script]: '/app/entrypoint.sh', '/etc/hosts': '/etc/hosts' },
  });
  let code: number | null | undefined;
  void container.code.then((ended) => (code = ended));
  return {
    pid: () => container.pid(),
    output: () => `${container.stdout.slice(-KEPT)}${container.stderr}`,
    code: () => code,
    exit: container.code,
  };
}
