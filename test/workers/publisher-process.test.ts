import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { recordsIn, serveBroker } from '../support/embedded-broker.js';
import { followFrames, startPublisher } from '../support/publisher.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const SCRIPT = fileURLToPath(new URL('../support/publisher-process.js', import.meta.url));

class PublisherProcess {
  readonly child: ChildProcessWithoutNullStreams;
  readonly #answers: AsyncIterator<string>;

  constructor(context: TestContext, args: readonly string[], limitKib?: number) {
    const command = [process.execPath, SCRIPT, ...args];
    // A file that may not grow is as good as a full disk, and needs no rights: the write fails with EFBIG.
    const limited = `trap '' XFSZ; ulimit -f ${limitKib}; exec "$@"`;
    const [file = '', ...rest] =
      limitKib === undefined ? command : ['bash', '-c', limited, 'bash', ...command];
    this.child = spawn(file, rest, { stdio: 'pipe' });
    context.after(() => this.child.kill('SIGKILL'));
    this.#answers = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async ask(line: string): Promise<any> {
    this.child.stdin.write(`${line}\n`);
    const answer = await within(this.#answers.next(), 60_000, `an answer to ${line.slice(0, 40)}`);
    return JSON.parse(answer.value as string);
  }

  async kill(): Promise<void> {
    const exit = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exit;
  }
}

const batch = (first: number, count: number): string =>
  Array.from({ length: count }, (_, i) => `block ${first + i}`).join(',');

test('what was answered survives SIGKILL of the process, and the sequence goes on', async (context) => {
  const directory = temporaryDirectory(context);
  const socketPath = join(directory, 'broker.sock');
  const process = new PublisherProcess(context, [directory, socketPath]);
  for (let at = 0; at < 200; at += 20) {
    assert.deepEqual(new Set(await process.ask(batch(at, 20))), new Set(['ok']));
  }
  // In the middle of the next one.
  process.child.stdin.write(`${batch(200, 20)}\n`);
  await process.kill();
  const publisher = startPublisher(context, socketPath, {}, directory);
  const waiting = await publisher.waiting();
  assert.ok(waiting === 200 || waiting === 220, `${waiting} waiting`);
  const frames = followFrames(context, publisher.config.frameSocketPath);
  await waitFor(async () => (await publisher.metric('teranode_p2p_frame_stream_readers')) === 1);
  const broker = await serveBroker(context, {}, socketPath);
  await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the outbox to drain' });
  const values = (await recordsIn(broker.broker, 'blocks')).map(({ value }) => Buffer.from(value).toString());
  assert.deepEqual(values, batch(0, waiting).split(','));
  const { announcement } = await import('../support/publisher.js');
  await publisher.publish([announcement('next')]);
  await waitFor(() => frames.seqs.length > 0);
  assert.equal(frames.seqs.at(-1), waiting);
  await publisher.close();
});

test('on a full disk announcements are refused, nothing crashes or is lost, and it recovers', async (context) => {
  const directory = temporaryDirectory(context);
  const socketPath = join(directory, 'broker.sock');
  const process = new PublisherProcess(context, [directory, socketPath, '2000'], 256);
  const accepted: string[] = [];
  let refused = 0;
  let recovered = false;
  for (let at = 0; at < 4000 && !recovered; at += 20) {
    const names = batch(at, 20).split(',');
    // The store is better again a fifth of a second after the fault: its health is asked in the same turn.
    const [outcomes, health]: [string[], { resource: string; status: number; error?: string }[]] =
      await process.ask(`${names.join(',')};!health`);
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome === 'ok') accepted.push(names[i] as string);
      else assert.equal(outcome, 'store_failed');
    }
    if (outcomes[0] === 'ok') {
      recovered = refused > 0;
      continue;
    }
    refused++;
    const outbox = health.find(({ resource }) => resource === 'outbox');
    if (refused === 1) {
      assert.equal(outbox?.status, 503);
      assert.match(outbox?.error ?? '', /cannot be written/);
    }
    // The same ones again, as a peer may announce them again: they are no repeats.
    await waitFor(async () => (await process.ask('!health'))[0].status === 200, { what: 'the recovery' });
    const again: string[] = await process.ask(names.join(','));
    assert.deepEqual(new Set(again), new Set(['ok']));
    accepted.push(...names);
    recovered = true;
  }
  assert.ok(recovered, 'the disk was never full');
  const broker = await serveBroker(context, { maxBytes: 1 << 28 }, socketPath);
  await waitFor(async () => (await recordsIn(broker.broker, 'blocks')).length >= accepted.length);
  const values = (await recordsIn(broker.broker, 'blocks')).map(({ value }) =>
    Buffer.from(value).toString().trim(),
  );
  assert.deepEqual([...new Set(values)], accepted);
  await process.ask('!close');
});
