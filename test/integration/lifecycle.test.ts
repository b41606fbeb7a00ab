/** The life of a whole server: created, initialised, started, stopped, in every order and at every moment. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ControlConnection } from '../../src/main/control/client.js';
import { controlSocketPath } from '../../src/main/control/protocol.js';
import { DataDirectory } from '../../src/main/data-directory/data-directory.js';
import { Tenure } from '../../src/main/hand-over/tenure.js';
import { settingsProblems } from '../../src/main/preflight/settings.js';
import { composeDependencies } from '../../src/main/server/compose.js';
import { P2PServer } from '../../src/main/server/server.js';
import { AbortedError, ConfigurationError } from '../../src/shared/errors.js';
import { FSMStateType } from '../../src/shared/generated/blockchain_api.js';
import { loadSettings } from '../../src/shared/settings/load.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { minedChain } from '../support/headers.js';
import { keptLog } from '../support/logger.js';
import { createPeer } from '../support/peer.js';
import { chainOf, initServer, openFeed, serverSettings, startServer } from '../support/server.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

/** Far beyond what a stop is waited for: none that takes its whole time passes. */
const PATIENT = { shutdown_timeout: 60_000 };

async function chainService(context: TestContext): Promise<BlockchainService> {
  const service = new BlockchainService();
  for (const header of minedChain(2)) service.add(header, { height: service.headers.size + 1 });
  await service.start();
  context.after(() => service.stop());
  return service;
}

const NOBODY = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

test('create touches neither network nor disk', async (context) => {
  let connections = 0;
  const neighbour = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => neighbour.listen(0, '127.0.0.1', resolve));
  context.after(() => neighbour.close());
  const address = `127.0.0.1:${(neighbour.address() as AddressInfo).port}`;
  const DATADIR = join(temporaryDirectory(context), 'not', 'made');
  const settings = serverSettings(context, {
    ...PATIENT,
    DATADIR,
    blockchain_grpcAddress: address,
    blockvalidation_grpcAddress: address,
    blockassembly_grpcAddress: address,
    blockchain_store: `postgres://nobody:nothing@${address}/bans`,
    kafka_blocksConfig: `kafka://${address}/blocks`,
    kafka_subtreesConfig: `kafka://${address}/subtrees`,
    kafka_rejectedTxConfig: `kafka://${address}/rejectedtx`,
    p2p_bootstrap_peers: [`/ip4/127.0.0.1/tcp/${address.split(':')[1]}/p2p/${NOBODY}`],
  });
  // Turns of the loop, the histogram of its delay, and what imports are still closing.
  const resources = () =>
    process.getActiveResourcesInfo().filter((name) => !/^(CloseReq|Immediate|IntervalHistogram)$/.test(name));
  const before = resources();
  const server = P2PServer.create(composeDependencies(settings, keptLog().logger));
  await nextTurn();
  // What the test before left may still go.
  const made = () => {
    const old = [...before];
    return resources().filter((name) => {
      const at = old.indexOf(name);
      if (at >= 0) old.splice(at, 1);
      return at < 0;
    });
  };
  await waitFor(() => made().length === 0, { what: 'nothing that was not there before' }).catch(() =>
    assert.deepEqual(made(), []),
  );
  assert.equal(existsSync(DATADIR), false);
  await within(server.stop(), 20_000, 'the stop of a server that never ran');
  assert.equal(existsSync(DATADIR), false);
  assert.equal(connections, 0);
  await assert.rejects(server.init(), /stopped/);
});

/** What a start on an environment is refused for. */
function problemsOf(context: TestContext, env: Readonly<Record<string, string>>): readonly string[] {
  const directory = temporaryDirectory(context);
  try {
    loadSettings({ env, cwd: directory, programDirectory: directory }, settingsProblems);
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigurationError, String(error));
    return error.problems;
  }
}
const keysOf = (problems: readonly string[]) => problems.map((line) => line.split(':', 1)[0]);

test('every problem of the settings is in one error, each once and with its key', (context) => {
  const bad = {
    logLevel: 'loud',
    p2p_httpListenAddress: '9906',
    p2p_grpcListenAddress: 'localhost:99999',
    p2p_block_topic: '',
    kafka_blocksConfig: 'http://nowhere/blocks',
    blockchain_grpcAddress: 'http://chain',
    asset_httpAddress: 'ftp://hub',
    p2p_static_peers: 'nobody',
    securityLevelHTTP: '1',
    p2p_websocket_trusted_source_cidrs: 'everyone',
  };
  const expected = Object.keys(bad).flatMap((key) =>
    key === 'securityLevelHTTP' ? ['server_certFile', 'server_keyFile'] : [key],
  );
  const problems = problemsOf(context, bad);
  assert.deepEqual(keysOf(problems).toSorted(), expected.toSorted(), problems.join('\n'));
});

test('a server is not made of settings that do not fit together, wherever they come from', (context) => {
  const settings = serverSettings(context, { securityLevelHTTP: 1, p2p_enable_peer_scoring: false });
  for (const make of [
    () => composeDependencies(settings, keptLog().logger),
    () => P2PServer.create({ ...composeDependencies(serverSettings(context), keptLog().logger), settings }),
  ]) {
    assert.throws(make, (error) => {
      assert.ok(error instanceof ConfigurationError);
      assert.deepEqual(keysOf(error.problems).toSorted(), [
        'p2p_enable_peer_exchange',
        'server_certFile',
        'server_keyFile',
      ]);
      return true;
    });
  }
});

const REQUIRED = {
  current: ['DATADIR', 'p2p_httpListenAddress'],
  first: [
    'DATADIR',
    'p2p_httpListenAddress',
    'p2p_ip',
    'p2p_topic_prefix',
    'p2p_shared_key',
    'p2p_bestblock_topic',
    'p2p_block_topic',
    'p2p_subtree_topic',
    'p2p_mining_on_topic',
    'p2p_rejected_tx_topic',
  ],
} as const;
const OF_THE_FIRST = {
  p2p_generation: 'first',
  p2p_ip: '127.0.0.1',
  p2p_topic_prefix: 'bitcoin/regtest',
  p2p_shared_key: '1f'.repeat(32),
};

for (const generation of ['current', 'first'] as const) {
  test(`${generation} generation: no server is made without a required setting, which is named`, (context) => {
    for (const key of REQUIRED[generation]) {
      const env = { ...(generation === 'first' ? OF_THE_FIRST : {}), [key]: '' };
      const problems = problemsOf(context, env);
      assert.equal(problems.length, 1, problems.join('\n'));
      assert.ok(problems[0]?.startsWith(`${key}: is required`), problems[0]);
    }
    const settings = serverSettings(context, { DATADIR: '' }, generation);
    assert.throws(
      () => composeDependencies(settings, keptLog().logger),
      /^ConfigurationError: DATADIR: is required/,
    );
  });
}

test('a server that was initialised and never started gives its directory back', async (context) => {
  const settings = serverSettings(context, PATIENT);
  const { server } = await initServer(context, settings);
  await within(server.stop(), 20_000, 'the stop');
  const again = await startServer(context, settings);
  assert.equal(again.server.peerId, server.peerId, 'the key that was made is kept');
});

const ORDER = [
  'directory watch',
  'isolation',
  'ban list',
  'peer registry',
  'chain',
  'preparation of notification servers',
  'preparation of gRPC',
  'embedded broker',
  'validation and assembly clients',
  'publisher and checkers',
  'archive',
  'notification servers',
  'batches',
  'peer registry of the blockchain service',
  'libp2p',
  'chain follower',
  'announcements',
  'bans',
  'invalid reports',
  'consumers',
  'sync',
  'gRPC',
  'embedded neighbours',
  'status',
];

test('parts start in order and stop backwards, once; steps out of turn are refused', async (context) => {
  const { server, log } = await initServer(context, serverSettings(context));
  await assert.rejects(server.init(), /initialised, not created/);
  await server.start();
  await assert.rejects(server.start(), /started, not initialised/);
  const parts = (wanted: string) =>
    log.lines.flatMap(({ msg, part }) => (msg === wanted && part ? [part] : []));
  assert.deepEqual(parts('started'), ORDER);
  const [first, second] = [server.stop(), server.stop()];
  assert.equal(first, second);
  await first;
  await server.stop();
  assert.deepEqual(parts('stopped'), ORDER.toReversed());
  await assert.rejects(server.start(), /stopped, not initialised/);
  assert.equal((await server.health(false)).status, 503);
});

test('a start that waits for an idle chain is given up by its signal, leaves nothing, and can be done again', async (context) => {
  const service = await chainService(context);
  service.fsm = FSMStateType.IDLE;
  const settings = serverSettings(context, { blockchain_grpcAddress: service.address });
  const { server } = await initServer(context, settings);
  const wish = new AbortController();
  const start = server.start(wish.signal);
  await waitFor(() => service.calls.get('wait'), { what: 'the wait for the chain' });
  const health = await fetch(`http://127.0.0.1:${server.ports.health}/health`);
  assert.equal(health.status, 503);
  assert.match(await health.text(), /waits for chain.*the chain is idle/);
  const liveness = await fetch(`http://127.0.0.1:${server.ports.health}/health/liveness`);
  assert.equal(liveness.status, 200);
  wish.abort();
  await assert.rejects(within(start, 20_000, 'giving up'), AbortedError);
  assert.equal(server.ports.p2p, undefined);

  const second = await initServer(context, settings);
  const started = second.server.start();
  await waitFor(() => (service.calls.get('wait') ?? 0) > 1, { what: 'the second wait' });
  service.leaveIdle();
  await within(started, 30_000, 'the start');
  assert.ok(second.server.ports.p2p);
});

test('stop in the middle of the start ends both', async (context) => {
  for (const part of ['embedded broker', 'publisher and checkers']) {
    const { server, log } = await initServer(context, serverSettings(context, PATIENT));
    const start = server.start();
    const ended = assert.rejects(start, AbortedError);
    await waitFor(() => log.lines.some((line) => line.msg === 'started' && line.part === part), {
      what: part,
      everyMs: 1,
    });
    await within(server.stop(), 20_000, 'the stop');
    await within(ended, 20_000, 'the start');
  }
});

test('without a chain service and a key of its own it waits for both, says so, and goes on', async (context) => {
  const service = await chainService(context);
  const { address: blockchain_grpcAddress } = service;
  service.stop();
  const settings = serverSettings(context, { blockchain_grpcAddress });
  const log = keptLog();
  const server = P2PServer.create(composeDependencies(settings, log.logger));
  context.after(() => server.stop());
  const running = server.init().then(() => server.start());
  const port = await waitFor(() => server.ports.health, { what: 'the health port' });
  const body = await waitFor(
    async () => {
      const text = await (await fetch(`http://127.0.0.1:${port}/health/readiness`)).text();
      return text.includes('ECONNREFUSED') ? text : undefined;
    },
    { what: 'the reason' },
  );
  const { status, dependencies } = JSON.parse(body) as {
    status: string;
    dependencies: { resource: string; status: string }[];
  };
  assert.equal(status, '503');
  assert.deepEqual(
    dependencies.map((each) => [each.resource, each.status]),
    [
      ['server', '503'],
      ['BlockchainClient', '503'],
      ['FSM', '503'],
    ],
  );
  assert.equal((await fetch(`http://127.0.0.1:${port}/health/liveness`)).status, 200);
  await waitFor(() => log.lines.find(({ msg }) => msg === 'waiting for the blockchain service'), {
    what: 'a line in the log',
  });
  await service.start();
  await within(running, 60_000, 'the start');
  await waitFor(async () => (await server.health(false)).status === 200, { what: 'readiness' });
});

test('stop while the key is waited for ends the wait', async (context) => {
  const service = await chainService(context);
  const { address: blockchain_grpcAddress } = service;
  service.stop();
  const settings = serverSettings(context, { ...PATIENT, blockchain_grpcAddress });
  const server = P2PServer.create(composeDependencies(settings, keptLog().logger));
  const init = assert.rejects(server.init(), AbortedError);
  await waitFor(() => server.ports.health, { what: 'the health port' });
  await within(server.stop(), 20_000, 'the stop');
  await init;
});

test('two servers in one process share nothing, and one stops without the other', async (context) => {
  const settings = { clientName: 'one' };
  const one = await startServer(context, serverSettings(context, settings));
  const two = await startServer(context, serverSettings(context, { clientName: 'two' }));
  assert.notEqual(one.server.peerId, two.server.peerId);
  const own = chainOf(one);
  const feed = await openFeed(context, two.server);
  const { hash } = await own.mine();
  await one.server.stop();
  const mined = await chainOf(two).mine();
  await feed.next((frame) => frame.type === 'block' && frame.hash === mined.hash, 'its own block');
  await waitFor(async () => (await two.server.health(false)).status === 200, { what: 'readiness' });
  assert.equal((await two.server.health(true)).status, 200);
  assert.match(await two.server.scrape(), /teranode_p2p_messages_total/);
  assert.ok(!feed.frames.some((frame) => frame.hash === hash));
});

test('starting and stopping are quick, also with everybody connected', async (context) => {
  const other = await startServer(context, serverSettings(context));
  const starts: number[] = [];
  const stops: number[] = [];
  // On an idle machine 1 s and 0.2 s. The suite shares its machine: the quickest of three tells the server's part, and a stop is still
  // shorter than the time that it may take.
  for (let count = 0; count < 3; count++) {
    const settings = serverSettings(context, { p2p_static_peers: [other.address] });
    const starting = performance.now();
    const one = await startServer(context, settings);
    starts.push(Math.round(performance.now() - starting));
    await createPeer({ context }).then((peer) => peer.dial(one.address));
    await openFeed(context, one.server);
    await waitFor(() => one.server.parts.node.peers().length === 2, { what: 'two peers' });
    const stopping = performance.now();
    await one.server.stop();
    stops.push(Math.round(performance.now() - stopping));
  }
  context.diagnostic(`starts ${starts} ms, stops ${stops} ms`);
  assert.ok(Math.min(...starts) < 30_000, `starts took ${starts} ms`);
  assert.ok(Math.min(...stops) < 8_000, `stops took ${stops} ms`);
});

test('what a stop could not end in time may still write: DATADIR stays locked and nobody is told that it is free', async (context) => {
  const settings = serverSettings(context, { shutdown_timeout: 100, p2p_datadir_wait: 60_000 });
  let end = (): void => {};
  const held = new Promise<void>((resolve) => {
    end = resolve;
  });
  // What is left then ends by itself, on a store that is still open.
  context.after(() => end());
  // The publisher, which writes the journal, is among those that are stopped after it.
  const { server, log } = await startServer(context, settings, {
    dependencies: (composed) => {
      const { rejectedTx = assert.fail('no consumer') } = composed;
      const stop = rejectedTx.stop.bind(rejectedTx);
      rejectedTx.stop = () => held.then(stop);
      return composed;
    },
  });
  const waiting = new ControlConnection(controlSocketPath(settings.DATADIR));
  context.after(() => waiting.leave());
  const ask = (confirmed: boolean) => waiting.ask('handOver', { ...request, confirmed }, 60_000);
  const { request } = new Tenure({ waitMs: 1, version: 'new' });
  assert.equal((await ask(false)).granted, true);
  await within(server.stop(), 60_000, 'a stop');
  const late = log.lines.filter(({ msg }) => msg === 'did not stop cleanly').map(({ part }) => part);
  assert.ok(late.includes('consumers'), JSON.stringify(late));
  await assert.rejects(new DataDirectory(settings.DATADIR).open(), /is in use by another server/);
  const answer = await ask(true);
  assert.equal(answer.granted ? 'granted' : answer.refusal, 'busy');
});
