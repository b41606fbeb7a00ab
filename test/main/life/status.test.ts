import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StatusFeed, type StatusFeedOptions } from '../../../src/main/life/status-feed.js';
import type { HealthReport } from '../../../src/shared/health.js';
import type { NodeStatusReport } from '../../../src/shared/status.js';
import { keptLog } from '../../support/logger.js';
import { serverSettings, startServer } from '../../support/server.js';
import { waitFor } from '../../support/wait.js';

const WELL: HealthReport = { status: 200, dependencies: [] };

/** A feed whose snapshots and looks are counted. */
function feedOf(context: TestContext, options: StatusFeedOptions, health = WELL) {
  const seen = { told: 0, looks: 0, watched: false, health };
  const log = keptLog();
  const feed = new StatusFeed(
    {
      logger: log.logger,
      health: async () => {
        seen.looks++;
        return seen.health;
      },
      report: (health) => {
        if (health.dependencies.length > 0) throw new Error('no report');
        return {} as NodeStatusReport;
      },
      tell: () => seen.told++,
      watched: () => seen.watched,
    },
    options,
  );
  context.after(() => feed.stop());
  feed.start();
  return { seen, feed, log };
}

test('snapshots are made at the pace of who looks, and neighbours are asked at their own', async (context) => {
  const HOUR = 3_600_000;
  const { seen, feed } = feedOf(context, { watchedMs: 10, unwatchedMs: HOUR, wellMs: HOUR, ailingMs: 50 });
  await waitFor(() => seen.told === 1, { what: 'the first' });
  const until = performance.now() + 100;
  await waitFor(() => performance.now() > until, { what: 'ten times the pace of who looks' });
  assert.equal(seen.told, 1, 'nobody looks');
  seen.watched = true;
  await waitFor(() => seen.told >= 10, { what: 'snapshots for who looks' });
  assert.equal(seen.looks, 1, 'all is well');
  await feed.stop();
  const { told } = seen;
  const later = performance.now() + 50;
  await waitFor(() => performance.now() > later, { what: 'five times the pace' });
  assert.equal(seen.told, told, 'stopped');
});

test('what is not well is looked at again sooner, and a report that fails ends nothing', async (context) => {
  const HOUR = 3_600_000;
  const options = { watchedMs: 5, unwatchedMs: 5, wellMs: HOUR, ailingMs: 20 };
  const ill: HealthReport = { status: 503, dependencies: [{ resource: 'x', status: 503, message: '' }] };
  const { seen, log } = feedOf(context, options, ill);
  await waitFor(() => seen.looks >= 3, { what: 'more looks' });
  assert.equal(seen.told, 0);
  const warned = log.lines.filter(({ msg }) => msg === 'the status could not be made');
  assert.equal(warned.length, 1, 'told once');
  seen.health = WELL;
  await waitFor(() => seen.told >= 5, { what: 'a status again' });
  const { looks } = seen;
  const until = performance.now() + 100;
  await waitFor(() => performance.now() > until, { what: 'five times the pace of what is not well' });
  assert.equal(seen.looks, looks, 'all is well');
});

test('the public status says which dependencies are well and nothing of why, where or at what address', async (context) => {
  const gone = 'kafka://127.0.0.1:1/blocks';
  const { server } = await startServer(context, serverSettings(context, { kafka_blocksConfig: gone }));
  const url = `http://127.0.0.1:${server.ports.http}/api/status`;
  const text = await waitFor(
    async () => {
      const answer = await (await fetch(url)).text();
      return answer.includes('"resource":"kafka blocks","status":503') ? answer : undefined;
    },
    { what: 'a topic that is not well', timeoutMs: 20_000 },
  );
  const { node, health } = JSON.parse(text) as NodeStatusReport;
  assert.equal(node.textPing, true, 'the feed says PING unless told otherwise');
  assert.equal(health.status, 503);
  assert.ok(health.dependencies.length > 5);
  for (const dependency of health.dependencies)
    assert.deepEqual(Object.keys(dependency), ['resource', 'status'], JSON.stringify(dependency));
  assert.doesNotMatch(text, /127\.0\.0\.1|kafka_blocksConfig|ECONNREFUSED/);
  const told = (await server.health(false)).dependencies.find(({ resource }) => resource === 'kafka blocks');
  assert.match(`${told?.error} ${told?.message}`, /127\.0\.0\.1:1/, 'the health port does say');
});
