/** Backups of DATADIR, made while a server runs and while none does, and what a server makes of an older copy: by the commands of docs/operators/keys-and-backup.md. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { RunFile } from '../../src/shared/process/run-file.js';
import { readJournalFiles } from '../support/deaths/journal-files.js';
import { hashOf, subtreeData, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { createPeer, type Peer } from '../support/peer.js';
import { launchServer, type ServerProcess } from '../support/server-process.js';
import { settingsOf } from '../support/settings.js';
import { dialAgain, readiness } from '../support/subtree-traffic.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const run = promisify(execFile);
const SUBTREE = kindNamed('subtree') ?? assert.fail();
const TOPIC = topicOf({ settings: settingsOf({ network: 'regtest' }) }, SUBTREE);
/** Nobody listens there: what is accepted stays in the outbox. */
const NOBODY = { kafka_subtreesConfig: 'kafka://127.0.0.1:1/subtrees' };

async function command(directory: string, ...args: readonly string[]): Promise<string> {
  const program = [join('bin', 'teranode-p2p.mjs'), ...args, '--set', `DATADIR=${directory}`];
  return (await run(process.execPath, program)).stdout;
}

async function stop(server: ServerProcess): Promise<void> {
  server.child.kill('SIGTERM');
  assert.equal((await within(server.exit, 60_000, 'a stop')).code, 0, server.stderr);
}

/** Hashes of the subtrees in a journal, in its order. */
const subtreesIn = (directory: string): string[] =>
  readJournalFiles(join(directory, 'journal')).entries.flatMap(({ own, frame }) =>
    own || frame?.type !== 'subtree' ? [] : [frame.hash ?? ''],
  );

class Sender {
  sent = 0;

  private constructor(readonly peer: Peer) {}

  static async create(context: TestContext): Promise<Sender> {
    return new Sender(await createPeer({ context, topics: [TOPIC], listen: false }));
  }

  join(file: RunFile): Promise<void> {
    return dialAgain(this.peer, file, [TOPIC]);
  }

  publish(n: number): Promise<unknown> {
    return this.peer.publish(TOPIC, subtreeData(this.peer.id, n));
  }

  async next(): Promise<void> {
    await this.publish(this.sent);
    this.sent++;
  }
}

const stored = (directory: string, count: number): Promise<true> =>
  waitFor(() => subtreesIn(directory).length >= count || undefined, {
    what: `${count} subtrees in the journal`,
  });

test('a backup made under load is a server’s: its key, bans and outbox are there, a new epoch begins, and what was heard since counts as new', async (context) => {
  const directory = join(temporaryDirectory(context), 'data');
  const backup = join(temporaryDirectory(context), 'monday');
  const server = launchServer(context, { directory, set: NOBODY });
  const file = await server.ready();
  await command(
    directory,
    'ban',
    '203.0.113.7',
    '--for',
    '24h',
    '--set',
    `p2p_grpcAddress=127.0.0.1:${file.ports.grpc}`,
  );
  const sender = await Sender.create(context);
  await sender.join(file);
  for (let count = 0; count < 50; count++) await sender.next();
  await stored(directory, 50);
  let over = false;
  const load = (async () => {
    while (!over) {
      await sender.next();
      await delay(2);
    }
  })();
  const told = await command(directory, 'backup', backup);
  over = true;
  await load;
  assert.match(told, /monday: \d+ files, \d+ bytes/);
  await stored(directory, sender.sent);
  await stop(server);
  const before = subtreesIn(directory);
  const copied = subtreesIn(backup);
  assert.ok(copied.length >= 50);
  assert.deepEqual(copied, before.slice(0, copied.length), 'a beginning of it, without a gap');
  assert.equal(statSync(backup).mode & 0o777, 0o700);
  assert.equal(statSync(join(backup, 'p2p.key')).mode & 0o777, 0o600);
  for (const name of readdirSync(backup)) assert.doesNotMatch(name, /sock|run\.json|spare|hand-over|LOCK/);

  const restored = `${directory}.before`;
  renameSync(directory, restored);
  await run('cp', ['-a', backup, directory]);
  const next = launchServer(context, { directory, set: NOBODY });
  const again = await next.ready();
  assert.equal(again.peerId, file.peerId);
  const epoch = await waitFor(
    () => next.lines().find(({ msg }) => msg === 'a new epoch of the journal begins'),
    {
      what: 'a new epoch',
    },
  );
  assert.match(String(epoch.reason), /restored or copied/);
  assert.ok(!/damaged/.test(next.stdout), next.stdout);
  const bans = await command(directory, 'bans', '--set', `p2p_grpcAddress=127.0.0.1:${again.ports.grpc}`);
  assert.match(bans, /203\.0\.113\.7/);
  const waits = async () => {
    const [topic] = (await command(directory, 'outbox', '--json'))
      .split('\n')
      .filter((line) => line.includes('"subtrees"'))
      .map((line) => JSON.parse(line) as { waiting: number });
    return topic?.waiting;
  };
  assert.equal(await waits(), copied.length);
  await sender.join(again);
  // One that the copy has, and one that came after it.
  await sender.publish(0);
  await sender.next();
  await sender.publish(before.length - 1);
  await waitFor(() => subtreesIn(directory).includes(hashOf(sender.sent - 1)), { what: 'the new one' });
  await waitFor(() => subtreesIn(directory).includes(hashOf(before.length - 1)), { what: 'the last' });
  await stop(next);
  const after = subtreesIn(directory);
  assert.equal(after.filter((hash) => hash === hashOf(0)).length, 1, 'a repeat is one still');
  assert.equal(new Set(readJournalFiles(join(directory, 'journal')).epochs).size, 2);
});

test('with the server stopped the same command copies, the key in another directory with it; and nothing is copied over something else', async (context) => {
  const directory = join(temporaryDirectory(context), 'data');
  const cache = temporaryDirectory(context);
  const set = { ...NOBODY, p2p_peer_cache_dir: cache };
  const server = launchServer(context, { directory, set });
  const file = await server.ready();
  const sender = await Sender.create(context);
  await sender.join(file);
  for (let count = 0; count < 20; count++) await sender.next();
  await stored(directory, 20);
  await stop(server);
  // What one leaves that is killed in another container.
  const left = { pid: 1, place: 'another container', controlSocket: join(directory, 'control.sock') };
  writeFileSync(join(directory, 'run.json'), JSON.stringify(left));
  const backup = join(temporaryDirectory(context), 'copy');
  const withCache = ['--set', `p2p_peer_cache_dir=${cache}`];
  await command(directory, 'backup', backup, ...withCache);
  assert.deepEqual(subtreesIn(backup), subtreesIn(directory));
  assert.ok(existsSync(join(backup, 'peer-cache', 'p2p.key')));
  await assert.rejects(
    command(directory, 'backup', backup, ...withCache),
    /cannot take a backup: it is not empty/,
  );
  await assert.rejects(command(directory, 'backup', join(directory, 'copy')), /lies in DATADIR/);
  const alias = join(temporaryDirectory(context), 'alias');
  symlinkSync(directory, alias);
  await assert.rejects(command(directory, 'backup', join(alias, 'copy')), /lies in DATADIR/);
  await assert.rejects(command(join(directory, 'missing'), 'backup', `${backup}.2`), /is no directory/);
  assert.equal(existsSync(join(directory, 'missing')), false);
  const blocked = join(temporaryDirectory(context), 'blocked');
  writeFileSync(blocked, '');
  await assert.rejects(command(directory, 'backup', blocked), /cannot take a backup/);

  const elsewhere = temporaryDirectory(context);
  mkdirSync(join(elsewhere, 'cache'));
  await run('cp', ['-a', join(backup, 'peer-cache', 'p2p.key'), join(elsewhere, 'cache')]);
  const next = launchServer(context, {
    directory: backup,
    set: { ...NOBODY, p2p_peer_cache_dir: join(elsewhere, 'cache') },
  });
  const again = await next.ready();
  assert.equal(again.peerId, file.peerId);
  await waitFor(async () => (await readiness(again)).text.includes('20 subtrees wait for Kafka'), {
    what: 'what waited',
  });
  await stop(next);
});
