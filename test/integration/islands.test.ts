/** Servers that would work for themselves alone on a real network: what they say, and how they refuse. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sumOf } from '../support/gossip.js';
import { serverSettings, startServer } from '../support/server.js';
import { launchServer, refusedStart } from '../support/server-process.js';
import { waitFor, within } from '../support/wait.js';

const ISLAND = /^this server is an island: /;

test('an island says so at the start, in readiness and in the figures, and works', async (context) => {
  const settings = serverSettings(context, { network: 'teratestnet' });
  const { server, log } = await startServer(context, settings);
  const line = log.lines.find(({ msg }) => ISLAND.test(String(msg)));
  assert.match(String(line?.msg), /blockchain_grpcAddress.*kafka_blocksConfig.*p2p_bootstrap_peers/s);
  const { dependencies } = await waitFor(
    async () => {
      const health = await server.health(false);
      return health.status === 200 ? health : undefined;
    },
    { what: 'readiness' },
  );
  assert.equal(
    dependencies.find(({ resource }) => resource === 'services')?.message,
    'warning: an island: embedded chain, memory topics, no bootstrap',
  );
  const scrape = await server.scrape();
  const signs = ['embedded_chain', 'memory_topics', 'no_bootstrap', 'no_settings_file'];
  assert.deepEqual(
    signs.map((sign) => sumOf(scrape, 'teranode_p2p_island', { sign })),
    [1, 1, 1, 0],
  );
});

test('in development, and where it is meant, nothing is said', async (context) => {
  for (const changes of [{}, { network: 'teratestnet', p2p_require_services: 'false' }] as const) {
    const { server, log } = await startServer(context, serverSettings(context, changes));
    assert.ok(log.lines.every(({ msg }) => !ISLAND.test(String(msg))));
    const { dependencies } = await server.health(false);
    assert.ok(dependencies.every(({ resource }) => resource !== 'services'));
    assert.equal(sumOf(await server.scrape(), 'teranode_p2p_island'), 0);
    await server.stop();
  }
});

test('with p2p_require_services a start that would be an island ends with exit code 1 and one line', async (context) => {
  const asked = { p2p_require_services: 'true' };
  for (const { set, env, told } of [
    {
      set: { ...asked, network: 'mainnet' },
      env: {},
      told: /blockchain_grpcAddress: .*p2p_bootstrap_peers: /,
    },
    {
      set: asked,
      env: { SETTINGS_CONTEXT: 'docker.m' },
      told: /SETTINGS_CONTEXT: is docker\.m.*blockchain_grpcAddress: /,
    },
  ]) {
    const { code, stderr } = await refusedStart(context, { set, env: { ...env } as Record<string, string> });
    assert.equal(code, 1, stderr);
    const lines = stderr.split('\n').filter((line) => line.includes('p2p_require_services'));
    assert.equal(lines.length, 1, stderr);
    assert.match(lines[0] ?? '', told);
  }
  const development = launchServer(context, { set: asked });
  await development.ready();
  development.child.kill('SIGTERM');
  assert.equal((await within(development.exit, 30_000, 'the stop')).code, 0);
});

test('`check` warns of an island, and finds fault with it where it would be refused', async (context) => {
  const run = async (set: Record<string, string>) => {
    const checked = launchServer(context, {
      set: { network: 'mainnet', ...set },
      command: ['check', '--json'],
    });
    const { code } = await within(checked.exit, 60_000, 'the check');
    const findings = JSON.parse(checked.stdout) as { state: string; message: string }[];
    return { code, findings };
  };
  const warned = await run({});
  assert.equal(warned.code, 0);
  assert.ok(
    warned.findings.some(
      ({ state, message }) => state === 'warning' && message.startsWith('blockchain_grpcAddress: '),
    ),
  );
  const refused = await run({ p2p_require_services: 'true' });
  assert.equal(refused.code, 1);
  assert.ok(
    refused.findings.some(
      ({ state, message }) => state === 'fault' && message.startsWith('p2p_require_services: '),
    ),
  );
});
