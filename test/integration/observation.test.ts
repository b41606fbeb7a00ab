/** What others see of a whole server: health, metrics, levels, and what its logs must never hold. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askServer } from '../../src/main/control/client.js';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { samplesOf, sumOf } from '../support/gossip.js';
import { chainOf, openFeed, serverSettings, startServer } from '../support/server.js';
import { launchServer } from '../support/server-process.js';
import type { SettingChanges } from '../support/settings.js';
import { waitFor } from '../support/wait.js';

test('readiness and liveness have the body that readers of Teranode know', async (context) => {
  const { server } = await startServer(context, serverSettings(context));
  const base = `http://127.0.0.1:${server.ports.health}/health`;
  for (const path of ['', '/readiness', '/liveness']) {
    const answer = await waitFor(
      async () => {
        const response = await fetch(base + path);
        return response.status === 200 ? response : undefined;
      },
      { what: `200 from ${path}` },
    );
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
    const body = (await answer.json()) as { status: string; dependencies: Record<string, unknown>[] };
    assert.deepEqual(Object.keys(body), ['status', 'dependencies']);
    assert.equal(body.status, '200');
    for (const dependency of body.dependencies) {
      assert.deepEqual(Object.keys(dependency), ['resource', 'status', 'error', 'message']);
      assert.equal(dependency.status, '200', JSON.stringify(dependency));
      assert.ok(Object.values(dependency).every((value) => typeof value === 'string'));
    }
    const resources = body.dependencies.map(({ resource }) => resource);
    if (path === '/liveness') {
      assert.deepEqual(resources, ['EventLoop', 'worker pools', 'notification servers']);
      continue;
    }
    const due = ['outbox', 'BlockchainClient', 'FSM', 'blockchain subscription', 'BlockValidationClient'];
    for (const wanted of [...due, 'BanStore'])
      assert.ok(resources.includes(wanted), `${wanted} in ${resources}`);
    const validation = body.dependencies.find(({ resource }) => resource === 'BlockValidationClient');
    assert.equal(validation?.message, 'not configured');
  }
});

test('a node that announces nothing because of its data hub says so wherever an operator looks', async (context) => {
  const look = async (changes: SettingChanges) => {
    const { server, log } = await startServer(
      context,
      serverSettings(context, { p2p_allow_private_ips: false, p2p_notification_servers: 1, ...changes }),
    );
    const base = `http://127.0.0.1:${server.ports.health}/health/readiness`;
    const answer = await waitFor(
      async () => {
        const response = await fetch(base);
        return response.status === 200 ? response : undefined;
      },
      { what: 'readiness' },
    );
    const { dependencies } = (await answer.json()) as { dependencies: Record<string, string>[] };
    const usable = samplesOf(await server.scrape(), 'teranode_p2p_announce_data_hub_usable')[0]?.value;
    const warned = log.lines.filter(({ level, msg }) => level === 40 && /data hub/.test(String(msg)));
    await server.stop();
    const line = dependencies.find(({ resource }) => resource === 'data hub');
    return { usable, warned: warned.length, line: line?.message ?? 'no line' };
  };
  for (const asset_httpAddress of ['', 'http://localhost:8090/api/v1', 'http://10.0.0.7:8090']) {
    const { usable, warned, line } = await look({ asset_httpAddress });
    assert.match(line, /^warning: asset_httpAddress: .*not announced.*asset_httpPublicAddress/);
    assert.deepEqual([usable, warned], [0, 1], asset_httpAddress);
  }
  const url = 'https://here.example.org/api/v1';
  assert.deepEqual(await look({ asset_httpPublicAddress: url }), { usable: 1, warned: 0, line: url });
  // It announces nothing in any case.
  const quiet = await look({ asset_httpAddress: '', listen_mode: 'listen_only' });
  assert.deepEqual(quiet, { usable: 1, warned: 0, line: 'none, and none is told' });
});

test('a key that everybody knows opens nothing where other machines reach it: the server says so, and all else goes on', async (context) => {
  const look = async (p2p_grpcListenAddress: string, grpc_admin_api_key: string) => {
    const { server, log } = await startServer(
      context,
      serverSettings(context, { p2p_notification_servers: 1, p2p_grpcListenAddress, grpc_admin_api_key }),
    );
    const client = new PeerServiceClient(`127.0.0.1:${server.ports.grpc}`, { adminKey: grpc_admin_api_key });
    context.after(() => client.close());
    assert.deepEqual(await client.getPeers(), [], 'what needs no key is answered');
    const answer = await client.banPeer('203.0.113.7', BigInt(Math.floor(Date.now() / 1000) + 60)).then(
      () => 'taken',
      (error: Error) => error.message,
    );
    const { dependencies } = await waitFor(
      async () => {
        const health = await server.health(false);
        return health.status === 200 ? health : undefined;
      },
      { what: 'readiness' },
    );
    const line = dependencies.find(({ resource }) => resource === 'admin key')?.message;
    const said = log.lines.filter(
      ({ level, msg }) => Number(level) >= 40 && /admin_api_key/.test(String(msg)),
    );
    await server.stop();
    return { answer, line, said: said.map(({ level }) => level) };
  };
  // As public settings files and manuals have them; Teranode's services refuse these as well.
  for (const key of ['testkey', 'ChangeMe']) {
    const { answer, line, said } = await look('0.0.0.0:0', key);
    assert.match(answer, /admin calls are refused: grpc_admin_api_key is a placeholder/);
    assert.match(line ?? '', /^warning: admin calls are refused: .*p2p_grpcListenAddress/);
    assert.deepEqual(said, [50]);
  }
  const well = { answer: 'taken', line: 'admin calls need it', said: [] };
  assert.deepEqual(await look('127.0.0.1:0', 'testkey'), well);
  assert.deepEqual(await look('0.0.0.0:0', 'correct-horse-battery-staple'), well);
  assert.deepEqual(await look('0.0.0.0:0', 'tooshort'), { ...well, said: [40] });
});

test('one scrape has every process’s figures, and none goes backwards when a notification server is replaced', async (context) => {
  const { server, ...rest } = await startServer(context, serverSettings(context));
  const one = { server, ...rest };
  const feed = await openFeed(context, server);
  const scrape = async () => (await fetch(`http://127.0.0.1:${server.ports.metrics}/metrics`)).text();
  const mine = async () => {
    const { hash } = await chainOf(one).mine();
    return hash;
  };
  for (let i = 0; i < 3; i++) {
    const hash = await mine();
    await feed.next((frame) => frame.type === 'block' && frame.hash === hash, 'our block');
  }
  const counters = [
    'teranode_p2p_messages_total',
    'teranode_p2p_publisher_frames_total',
    'teranode_p2p_websocket_frames_total',
    'teranode_p2p_notification_server_process_cpu_seconds_total',
    'process_cpu_seconds_total',
  ];
  const figures = (text: string) => counters.map((name) => sumOf(text, name));
  // A process that has not answered a scrape yet is not in it.
  const before = await waitFor(
    async () => {
      const text = await scrape();
      const delays = samplesOf(text, 'teranode_p2p_event_loop_delay_seconds');
      return delays.length > 0 && figures(text).every((value) => value > 0) ? text : undefined;
    },
    { what: `figures of ${counters}`, everyMs: 100 },
  );
  assert.match(before, /^libp2p_/m);

  const { notifications } = server.parts;
  const [victim] = notifications.pids;
  assert.ok(victim);
  process.kill(victim, 'SIGKILL');
  await waitFor(() => notifications.serving === 2 && !notifications.pids.includes(victim), {
    what: 'another notification server',
  });
  await waitFor(async () => (await notifications.health()).message.includes(' 2 hear'), {
    what: 'both at the stream',
  });
  const after = await waitFor(
    async () => {
      const text = await scrape();
      return sumOf(text, 'teranode_p2p_notification_server_restarts_total') > 0 ? text : undefined;
    },
    { what: 'a scrape that knows of the other', everyMs: 100 },
  );
  for (const [index, value] of figures(after).entries()) {
    assert.ok(value >= (figures(before)[index] ?? 0), `${counters[index]} went backwards`);
  }
  assert.equal(sumOf(after, 'teranode_p2p_notification_server_restarts_total'), 1);
});

test('liveness fails while no notification server serves, and is well when one does again', async (context) => {
  const { server } = await startServer(context, serverSettings(context, { p2p_notification_servers: 1 }));
  const [pid] = server.parts.notifications.pids;
  assert.ok(pid);
  process.kill(pid, 'SIGKILL');
  const report = await waitFor(
    async () => {
      const health = await server.health(true);
      return health.status === 503 ? health : undefined;
    },
    { what: 'liveness to fail', everyMs: 1 },
  );
  const ill = report.dependencies.filter(({ status }) => status !== 200);
  assert.deepEqual(
    ill.map(({ resource, error }) => [resource, error]),
    [['notification servers', 'no notification server serves']],
  );
  await waitFor(async () => (await server.health(true)).status === 200, { what: 'another one' });
});

test('the level changes at run time in main and in the publisher', async (context) => {
  const run = launchServer(context, {
    set: {
      logLevel: 'warn',
      p2p_embedded_mining_interval: '300ms',
      kafka_subtreesConfig: 'kafka://127.0.0.1:1/subtrees',
    },
  });
  const { controlSocket } = await run.ready();
  const quiet = (component: string, since = 0) =>
    run
      .lines()
      .slice(since)
      .filter((line) => Number(line.level) < 40 && line.component === component);
  for (const component of ['chain', 'publisher']) assert.deepEqual(quiet(component), []);
  await askServer(controlSocket, 'level', { level: 'trace' });
  for (const component of ['chain', 'publisher'])
    await waitFor(() => quiet(component).length > 0, { what: `a word of the ${component}` });
  await askServer(controlSocket, 'level', { level: 'warn' });
  await assert.rejects(askServer(controlSocket, 'level', { level: 'loud' }), /loud/);
});

test('no secret is ever in the log, at the lowest level', async (context) => {
  const secrets = {
    p2p_shared_key: '5a'.repeat(32),
    grpc_admin_api_key: 'correct-horse-battery-staple',
    blockchain_store: 'postgres://someone:hunter2hunter2@127.0.0.1:1/bans',
    asset_httpAddress: 'http://127.0.0.1:8090/?access_token=hunter3hunter3',
  };
  const run = launchServer(context, {
    set: { ...secrets, logLevel: 'trace', p2p_private_network: 'true' },
  });
  const file = await run.ready();
  const health = await fetch(`http://127.0.0.1:${file.ports.health}/health`);
  const told = await health.text();
  assert.match(told, /data hub/);
  run.child.kill('SIGTERM');
  assert.equal((await run.exit).code, 0, run.stderr);
  const said = run.stdout + run.stderr;
  assert.ok(said.length > 1000);
  const { p2p_shared_key, grpc_admin_api_key } = secrets;
  for (const secret of [p2p_shared_key, grpc_admin_api_key, 'hunter2hunter2', 'hunter3hunter3']) {
    assert.ok(!said.includes(secret), `${secret.slice(0, 7)}… is in the log`);
    assert.ok(!told.includes(secret), `${secret.slice(0, 7)}… is in readiness`);
  }
});
