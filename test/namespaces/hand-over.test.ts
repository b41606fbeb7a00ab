/** Servers as in pods: process ids, network and host name of their own, the data directory in common. */

import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const BIN = resolve('bin/teranode-p2p.mjs');
const READINESS = 'http://127.0.0.1:8000/health/readiness';
const ASK = `const answer = await fetch(${JSON.stringify(READINESS)}); console.log(answer.status, await answer.text());`;

/** The same of each: their networks are apart. */
const SETTINGS = {
  network: 'regtest',
  clientName: 'pod',
  p2p_listen_addresses: '127.0.0.1',
  p2p_bootstrap_peers: '',
  p2p_checkers: '1',
  p2p_notification_servers: '1',
  health_check_httpListenAddress: '127.0.0.1:8000',
  asset_httpAddress: 'http://127.0.0.1:8090/api/v1',
  p2p_datadir_wait: '120s',
};

class Pod {
  readonly #child: ChildProcess;
  readonly exit: Promise<number | null>;
  readonly #arguments: readonly string[];
  output = '';
  #first: number | undefined;

  constructor(context: TestContext, name: string, set: Readonly<Record<string, string>>) {
    const settings = Object.entries({ ...SETTINGS, ...set });
    this.#arguments = settings.flatMap(([key, value]) => ['--set', `${key}=${value}`]);
    const inside = 'ip link set lo up; hostname "$1"; shift; exec "$@"';
    const program = [process.execPath, BIN, 'start', ...this.#arguments];
    this.#child = spawn(
      'unshare',
      [
        '--pid',
        '--fork',
        '--kill-child',
        '--mount-proc',
        '--net',
        '--uts',
        'bash',
        '-ec',
        inside,
        'bash',
        name,
        ...program,
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, KUBERNETES_SERVICE_HOST: '10.0.0.1', NODE_V8_COVERAGE: '' },
      },
    );
    this.exit = new Promise((done) => this.#child.once('close', (code) => done(code)));
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
    context.after(async () => {
      this.#child.kill('SIGKILL');
      await this.exit;
    });
  }

  /** Runs a program within its namespaces. */
  async run(...program: string[]): Promise<string> {
    this.#first ??= await this.#firstProcess();
    const { stdout } = await promisify(execFile)('nsenter', [
      '--target',
      String(this.#first),
      '--net',
      '--pid',
      '--mount',
      '--uts',
      process.execPath,
      ...program,
    ]);
    return stdout;
  }

  readiness(): Promise<string> {
    return this.run('--input-type=module', '-e', ASK).catch(() => '');
  }

  outbox(): Promise<string> {
    return this.run(BIN, 'outbox', ...this.#arguments);
  }

  async ready(): Promise<void> {
    const found = await waitFor(
      async () => (this.#child.exitCode !== null ? 'ended' : (await this.readiness()).startsWith('200')),
      { what: 'readiness', timeoutMs: 120_000, everyMs: 200 },
    );
    assert.equal(found, true, this.output);
  }

  async terminate(): Promise<void> {
    process.kill(this.#first ?? assert.fail(), 'SIGTERM');
    await within(this.exit, 60_000, 'the end of a pod');
  }

  /** The one that is 1 inside. */
  async #firstProcess(): Promise<number> {
    const { stdout } = await promisify(execFile)('pgrep', ['-P', String(this.#child.pid)]);
    return Number(stdout.trim());
  }
}

test('servers in pods of their own hand a directory over, and a container that starts again in the pod it came from does not get it back', async (context) => {
  const DATADIR = temporaryDirectory(context);
  const old = new Pod(context, 'p2p-old', { DATADIR });
  await old.ready();
  const next = new Pod(context, 'p2p-new', { DATADIR });
  await next.ready();
  assert.match(await old.readiness(), /^503 .*handed over DATADIR to p2p-new, process 1\b/s);
  // Whose process it does not see.
  assert.match(await old.outbox(), /blocks/);
  await old.terminate();

  const again = new Pod(context, 'p2p-old', { DATADIR, p2p_datadir_wait: '2s' });
  assert.equal(await within(again.exit, 60_000, 'a start that is refused'), 1);
  assert.match(again.output, /did not hand it over within 2 s \(p2p_datadir_wait\): it got it from this pod/);
  await next.ready();
  const third = new Pod(context, 'p2p-newest', { DATADIR });
  await third.ready();
  await next.terminate();
  await third.ready();
});
