/** A part that the product does not know, added to the list from outside, lives as the others do. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRunFile } from '../../src/shared/process/run-file.js';
import { sumOf } from '../support/gossip.js';
import { createBeacon } from '../support/made-up-part.js';
import { serverSettings, startServer } from '../support/server.js';

test('a made-up part is in readiness, liveness, the metrics and the run file, and is stopped in its turn', async (context) => {
  const settings = serverSettings(context, { p2p_notification_servers: 1 });
  const { server, log } = await startServer(context, settings, { parts: [createBeacon] });
  const { beacon } = server.ports;
  assert.ok(beacon);
  assert.equal(readRunFile(settings.DATADIR)?.ports.beacon, beacon);
  const ask = async (path: string) => (await fetch(`http://127.0.0.1:${beacon}${path}`)).text();
  assert.equal(await ask('/'), 'here');

  const lineOf = async (isLiveness: boolean) =>
    (await server.health(isLiveness)).dependencies.find(({ resource }) => resource === 'beacon');
  assert.deepEqual(await lineOf(false), { resource: 'beacon', status: 200, message: 'shines' });
  assert.equal((await lineOf(true))?.status, 200);
  await ask('/ill');
  assert.equal((await server.health(false)).status, 503);
  assert.equal((await lineOf(false))?.error, 'it does not shine');

  // What main counts, and what another thread or process would.
  const scrape = await server.scrape();
  assert.equal(sumOf(scrape, 'beacon_answers_total'), 2);
  assert.equal(sumOf(scrape, 'beacon_flashes_total'), 3);

  await server.stop();
  const order = (wanted: string) =>
    log.lines.flatMap(({ msg, part }) => (msg === wanted && part ? [part] : []));
  assert.deepEqual(order('started').slice(-3), ['embedded neighbours', 'beacon', 'status']);
  assert.deepEqual(order('stopped').slice(0, 3), ['status', 'beacon', 'embedded neighbours']);
  await assert.rejects(ask('/'), 'its port is closed');
});

test('two parts of one name are refused', async (context) => {
  const settings = serverSettings(context, { p2p_notification_servers: 1 });
  const twice = { parts: [createBeacon, () => ({ name: 'beacon' })] };
  await assert.rejects(startServer(context, settings, twice), /two parts are named beacon/);
});
