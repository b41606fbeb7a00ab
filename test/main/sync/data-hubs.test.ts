import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { DataHubs, type DataHubsOptions } from '../../../src/main/sync/data-hubs.js';
import { GuardedHttp } from '../../../src/main/sync/guarded-http.js';
import { createSyncMetrics } from '../../../src/main/sync/metrics.js';
import { checkContextOf } from '../../../src/shared/pipeline/check-context.js';
import { asHub } from '../../support/branded.js';
import { startDataHub } from '../../support/data-hub.js';
import { sumOf } from '../../support/gossip.js';
import { settingsOf } from '../../support/settings.js';
import { waitFor } from '../../support/wait.js';

function hubsOf(options: DataHubsOptions = {}, allowPrivate = true, timeoutMs = 2_000) {
  const registry = new Registry();
  const context = checkContextOf(settingsOf({ network: 'regtest', p2p_allow_private_ips: allowPrivate }));
  const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
  const http = new GuardedHttp({ context, timeoutMs, resolve, allowLoopback: true });
  const hubs = new DataHubs({ http, metrics: createSyncMetrics(registry) }, options);
  const checks = async (outcome: string) =>
    sumOf(await registry.metrics(), 'teranode_p2p_data_hub_checks_total', { outcome });
  return { hubs, checks };
}
const NEVER = new AbortController().signal;

describe('data hubs', () => {
  it('answer with 200 on their best block header, and with nothing else', async (context) => {
    const good = await startDataHub(context);
    const away = await startDataHub(context, (_, response) => void response.writeHead(404).end('offline'));
    const broken = await startDataHub(context, (_, response) => void response.destroy());
    const late = await startDataHub(context, () => {});
    const { hubs, checks } = hubsOf({}, true, 2_000);
    const urls = [good.url, `${good.url}/`, away.url, broken.url, late.url].map(asHub);
    const answers = await hubs.answering(urls, NEVER);
    assert.deepEqual([...answers.keys()].sort(), [...urls].sort());
    assert.ok(
      (answers.get(good.url) ?? Number.NaN) > 0 && (answers.get(asHub(`${good.url}/`)) ?? Number.NaN) > 0,
    );
    for (const url of urls.slice(2)) assert.equal(answers.get(url), undefined, url);
    assert.deepEqual(good.asked, ['/api/v1/bestblockheader', '/api/v1/bestblockheader']);
    assert.equal(await checks('answered'), 2);
    for (const outcome of ['refused', 'failed', 'late']) assert.equal(await checks(outcome), 1, outcome);
  });

  it('inside are not asked unless private addresses are allowed, by name or address', async (context) => {
    const hub = await startDataHub(context);
    const { hubs, checks } = hubsOf({}, false);
    const named = asHub(`http://hub.example.com:${hub.port}`);
    const answers = await hubs.answering([hub.url, named], NEVER);
    assert.deepEqual([answers.get(hub.url), answers.get(named)], [undefined, undefined]);
    assert.equal(answers.size, 2);
    assert.equal(hub.connections, 0);
    assert.equal(await checks('inside'), 2);
  });

  it('are remembered for a moment, those that do not answer too', async (context) => {
    const good = await startDataHub(context);
    const bad = await startDataHub(context, (_, response) => void response.writeHead(500).end());
    const { hubs } = hubsOf({ rememberMs: 2_000 });
    const urls = [good.url, bad.url, good.url];
    await hubs.answering(urls, NEVER);
    const again = await hubs.answering(urls, NEVER);
    assert.equal(again.size, 2);
    assert.deepEqual([good.asked.length, bad.asked.length], [1, 1]);
    bad.answer = good.answer;
    await waitFor(async () => (await hubs.answering(urls, NEVER)).get(bad.url) !== undefined, {
      what: 'another look',
    });
  });

  it('hubs that hold on to their answers cost one budget, eight requests at once, and are asked again', async (context) => {
    let open = 0;
    let most = 0;
    const holding = await startDataHub(context, (_, response) => {
      open++;
      most = Math.max(most, open);
      response.once('close', () => open--);
    });
    const { hubs, checks } = hubsOf({ budgetMs: 2_000 }, true, 20_000);
    const urls = Array.from({ length: 32 }, (_, n) => asHub(`${holding.url}/${n}`));
    const began = performance.now();
    const answers = await hubs.answering(urls, NEVER);
    assert.ok(performance.now() - began < 15_000);
    assert.equal(answers.size, 0, 'not judged');
    assert.equal(most, 8);
    assert.equal(await checks('late'), 0);
    holding.answer = (_, response) => void response.end();
    const answered = async () =>
      [...(await hubs.answering(urls, NEVER)).values()].filter((ms) => ms !== undefined).length;
    await waitFor(async () => (await answered()) === 32, { what: 'answers of all' });
  });
});
