/** A server as a process of its own: signals in mid-flow and with nothing to do, and a disk that takes no more. */

import assert from 'node:assert/strict';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeEntry } from '../../src/shared/journal/entry.js';
import { JournalReader } from '../../src/shared/journal/reader.js';
import { unwrap } from '../../src/shared/messages/framing.js';
import { subtree } from '../../src/shared/messages/index.js';
import { subtrees } from '../../src/shared/messages/topics.js';
import type { RunFile } from '../../src/shared/process/run-file.js';
import { isRecordOf } from '../../src/shared/sinks/kafka/sink.js';
import { hashOf, subtreeData, sumOf, topicOf } from '../support/gossip.js';
import { kindNamed } from '../support/kinds.js';
import { SHARES_PORT } from '../support/notifications.js';
import { createPeer, type Peer } from '../support/peer.js';
import { launchServer } from '../support/server-process.js';
import { settingsOf } from '../support/settings.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

const SUBTREE = kindNamed('subtree');
if (SUBTREE === undefined) throw new Error('no subtrees');
const TOPIC = topicOf({ settings: settingsOf({ network: 'regtest' }) }, SUBTREE);
/** An exit that is timed writes no coverage: it takes seconds on a busy machine. */
const TIMED = { NODE_V8_COVERAGE: '' };
/** Nobody listens there: what is accepted stays in the outbox. */
const NOBODY = 'kafka://127.0.0.1:1/subtrees';
/** GossipSub forwards nothing whose verdict takes more than five heartbeats. */
const PASSES_ON = { p2p_heartbeat_interval: '4s' };

async function neighbour(context: TestContext, { ports, peerId }: RunFile): Promise<Peer> {
  const peer = await createPeer({ context, topics: [TOPIC] });
  await peer.dial(`/ip4/127.0.0.1/tcp/${ports.p2p}/p2p/${peerId}`);
  await peer.sees(peerId, TOPIC);
  return peer;
}

/** Hashes, display order, of the subtrees in a journal of which Kafka had none. */
function waitingIn(directory: string): Set<string> {
  const reader = new JournalReader({ directory: join(directory, 'journal') });
  const hashes = new Set<string>();
  for (let from = 0; ; ) {
    const { entries, next } = reader.read(from, Number.POSITIVE_INFINITY, 1 << 20);
    if (entries.length === 0) break;
    from = next;
    for (const { bytes } of entries.filter((entry) => isRecordOf(subtrees.id)(entry.bytes))) {
      const { record } = decodeEntry(bytes);
      hashes.add(
        Buffer.from(record?.hash ?? [])
          .reverse()
          .toString('hex'),
      );
    }
  }
  reader.close();
  return hashes;
}

test('SIGTERM under load: exit code 0 in time, and what the network got from us is in the outbox', async (context) => {
  const run = launchServer(context, {
    env: TIMED,
    set: { kafka_subtreesConfig: NOBODY, shutdown_timeout: '4s', ...PASSES_ON },
  });
  const file = await run.ready();
  const sender = await neighbour(context, file);
  const observer = await neighbour(context, file);
  let sent = 0;
  let sending = true;
  const flood = (async () => {
    while (sending) {
      for (let i = 0; i < 20; i++)
        await sender.publish(TOPIC, subtreeData(sender.id, sent++)).catch(() => {});
      await delay(5);
    }
  })();
  await waitFor(() => observer.heard.length > 200, { what: 'a flow through the server', timeoutMs: 60_000 });
  const began = performance.now();
  run.child.kill('SIGTERM');
  const { code } = await within(run.exit, 30_000, 'the end of the process');
  const took = performance.now() - began;
  sending = false;
  await flood;
  // By itself: what has not ended three seconds past its time gives up with code 1.
  assert.equal(code, 0, run.stderr);
  const waiting = waitingIn(run.directory);
  const passedOn = observer.heard.map(({ data }) => unwrap(data, subtree).message.hash);
  assert.ok(passedOn.length > 200 && passedOn.every((hash) => hash.length === 64));
  const lost = passedOn.filter((hash) => !waiting.has(hash));
  assert.deepEqual(lost, [], `${lost.length} of ${passedOn.length} were passed on and are not in the outbox`);
  assert.ok(waiting.has(hashOf(0)));
  context.diagnostic(`${passedOn.length} passed on, ${waiting.size} kept, ended in ${took} ms`);
});

/** A command in Node's place that notes each start of a process, and how often that was. */
function countingNode(context: TestContext): { readonly command: string; starts(): number } {
  const directory = temporaryDirectory(context);
  const command = join(directory, 'node');
  const file = join(directory, 'starts');
  writeFileSync(file, '');
  writeFileSync(command, `#!/bin/sh\necho >> '${file}'\nexec '${process.execPath}' "$@"\n`);
  chmodSync(command, 0o755);
  return { command, starts: () => readFileSync(file, 'utf8').length };
}

/** A port that takes connections and says nothing: who stops waits for it as long as it may. */
async function silentPort(context: TestContext): Promise<number> {
  const server = createServer((socket) => void socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

for (const [moment, line, set] of [
  // Its last stage waits for the broker.
  ['in the middle of the start', 'PeerService listens', { p2p_embedded_rejected_tx_interval: '1s' }],
  ['when all is up', 'ready', {}],
] as const) {
  test(`a signal to the whole process group ${moment} starts nothing in place of the processes that it ends`, async (context) => {
    const node = countingNode(context);
    const run = launchServer(context, {
      env: { ...TIMED, TERANODE_P2P_NODE: node.command },
      leadsGroup: true,
      set: {
        ...set,
        p2p_notification_servers: '2',
        p2p_websocket_transport: SHARES_PORT,
        kafka_rejectedTxConfig: `kafka://127.0.0.1:${await silentPort(context)}/rejectedtx`,
      },
    });
    const said = () => run.lines().some(({ msg }) => msg === line) || run.child.exitCode !== null;
    await waitFor(said, { what: `“${line}”`, timeoutMs: 60_000 });
    assert.equal(node.starts(), 2, run.stderr + run.stdout);
    process.kill(-(run.child.pid ?? assert.fail()), 'SIGTERM');
    assert.equal((await within(run.exit, 30_000, 'the end of the process')).code, 0, run.stderr);
    assert.equal(node.starts(), 2, 'processes were started after the signal');
  });
}

test('on a full disk it lives on: announcements are kept or refused and counted, and SIGTERM ends it', async (context) => {
  const run = launchServer(context, {
    env: TIMED,
    fileKib: 512,
    set: { kafka_subtreesConfig: NOBODY, shutdown_timeout: '3s', ...PASSES_ON },
  });
  const file = await run.ready();
  const sender = await neighbour(context, file);
  const observer = await neighbour(context, file);
  const dataHubUrl = `http://127.0.0.1:8090/${'x'.repeat(1_900)}`;
  const refusing = () =>
    run.lines().some(({ msg }) => /journal cannot be written: announcements are refused/.test(String(msg)));
  for (let n = 0; n < 2_000 && !refusing(); n++) {
    await sender.publish(TOPIC, subtreeData(sender.id, n, { dataHubUrl }));
    if (n % 10 === 0) await delay(10);
  }
  await waitFor(refusing, { what: 'a full disk' });
  const liveness = await fetch(`http://127.0.0.1:${file.ports.health}/health/liveness`);
  assert.equal(liveness.status, 200, await liveness.text());
  const refused = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${file.ports.metrics}/metrics`)).text();
    return sumOf(metrics, 'teranode_p2p_messages_total', { outcome: 'store_failed' });
  };
  await waitFor(refused, { what: 'the refused to be counted', everyMs: 100 });
  run.child.kill('SIGTERM');
  assert.equal((await within(run.exit, 30_000, 'the end of the process')).code, 0, run.stderr);
  const waiting = waitingIn(run.directory);
  const passedOn = observer.heard.map(({ data }) => unwrap(data, subtree).message.hash);
  assert.ok(passedOn.length > 10);
  assert.deepEqual(
    passedOn.filter((hash) => !waiting.has(hash)),
    [],
  );
});

test('with nothing left to do SIGTERM ends it quickly, SIGINT too; a second signal does not wait', async (context) => {
  const quick = launchServer(context, { env: TIMED, set: { shutdown_timeout: '60s' } });
  const patient = launchServer(context, {
    env: TIMED,
    set: { kafka_subtreesConfig: NOBODY, shutdown_timeout: '60s' },
  });
  const file = await patient.ready();
  await quick.ready();
  const began = performance.now();
  quick.child.kill('SIGINT');
  assert.equal((await within(quick.exit, 30_000, 'the end of the process')).code, 0);
  context.diagnostic(`SIGINT took ${performance.now() - began} ms`);

  const sender = await neighbour(context, file);
  await sender.publish(TOPIC, subtreeData(sender.id, 0));
  await waitFor(
    async () => {
      const health = await fetch(`http://127.0.0.1:${file.ports.health}/health`);
      return (await health.text()).includes('1 subtrees wait for Kafka');
    },
    { what: 'a record that waits' },
  );
  patient.child.kill('SIGTERM');
  await waitFor(() => patient.lines().some(({ msg }) => msg === 'stopping'), { what: 'the stop' });
  assert.equal(patient.child.exitCode, null);
  // What comes within a second counts as the same wish.
  const again = setInterval(() => patient.child.kill('SIGTERM'), 300);
  context.after(() => clearInterval(again));
  const ended = await within(patient.exit, 30_000, 'the end at the second signal');
  clearInterval(again);
  assert.equal(ended.code, 143);
  assert.deepEqual([...waitingIn(patient.directory)], [hashOf(0)]);
});
