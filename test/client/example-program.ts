/** An example of `client/examples/`, run as its reader would, and held to what it says of itself. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { hashOfToken } from '../../src/shared/firehose/tokens.js';
import { serveNotifications } from '../support/notifications.js';
import { freePorts } from '../support/ports.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const TOKEN = 'p2p_token';

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
}

function start(context: TestContext, { command, args, cwd }: Program) {
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = { ...inherited, P2P_FEED_TOKEN: TOKEN };
  // A group of its own, which ends whole: a shell has children.
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const exit = new Promise((resolve) => child.once('close', resolve));
  const kill = async () => {
    try {
      process.kill(-Number(child.pid), 'SIGKILL');
    } catch {
      // Gone already.
    }
    await within(exit, 10_000, 'an end');
  };
  context.after(kill);
  const run = {
    stdout: '',
    stderr: '',
    exit,
    kill,
    /** Heights of the blocks that it has shown; by lines of text, or of JSON. */
    heights: () =>
      run.stdout
        .split('\n')
        .slice(0, -1)
        .map((line) => Number(/(?:^block |"height":)(\d+)/.exec(line)?.[1])),
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (run.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (run.stderr += text));
  return run;
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

/**
 * Holds that the program, given the URL of a server that wants a token and a file for its cursor, shows every block once, over `kill -9` of the server, over an end of it that lasts, and over `kill -9` of
 * itself; that it ends where the file is empty; and that it ends with the server's word where the server says that its cursor is none.
 */
export async function goesOn(
  context: TestContext,
  command: string,
  args: readonly string[],
  scheme: 'ws' | 'http',
): Promise<void> {
  const [port = 0] = await freePorts(1);
  const cwd = temporaryDirectory(context);
  const tokens = join(cwd, 'tokens');
  writeFileSync(tokens, `example:${hashOfToken(TOKEN)}:\n`);
  const settings = { p2p_httpListenAddress: `127.0.0.1:${port}`, p2p_notification_servers: 1 };
  const { feed, servers } = await serveNotifications(context, settings, { tokens });
  const program = { command, args: [...args, `${scheme}://127.0.0.1:${port}`, join(cwd, 'cursor')], cwd };
  let run = start(context, program);
  const shows = (last: number) =>
    waitFor(() => run.heights().at(-1) === last, {
      what: `block ${last} of ${run.stdout} ${run.stderr}`,
      timeoutMs: 60_000,
    });
  const first = await waitFor(
    async () => {
      const height = feed.blocks(1);
      return run.heights().length > 0 ? height : undefined;
    },
    { what: 'a first block', everyMs: 100, timeoutMs: 60_000 },
  );
  const begin = Number(run.heights()[0]);
  await shows(first);

  for (const pid of servers.pids) process.kill(pid, 'SIGKILL');
  await shows(feed.blocks(3));

  await servers.stop();
  feed.blocks(3);
  await servers.start();
  const last = feed.blocks(1);
  await shows(last);
  assert.deepEqual(run.heights(), range(begin, last), run.stderr);

  await run.kill();
  feed.blocks(2);
  run = start(context, program);
  const end = feed.blocks(1);
  await shows(end);
  // What was at hand at its end, and what was being saved then, may come again.
  const again = run.heights();
  assert.ok(Number(again[0]) <= last + 1 && Number(again[0]) > begin, String(again));
  assert.deepEqual(again, range(Number(again[0]), end), run.stderr);

  await run.kill();
  writeFileSync(join(cwd, 'cursor'), '');
  run = start(context, program);
  assert.notEqual(await within(run.exit, 60_000, 'an end'), 0);
  assert.match(run.stderr, /cursor is empty/);
  assert.equal(run.stdout, '');
}
