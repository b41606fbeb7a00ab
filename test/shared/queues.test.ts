import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QUEUES, type Queue } from '../../src/shared/queues.js';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TABLE: readonly Queue[] = QUEUES;

describe('the table of queues', () => {
  it('has a bound for each, a number or a setting that exists, and a rule for when it is reached', () => {
    for (const { name, bound, whenFull } of TABLE) {
      const settings = bound.match(/p2p_\w+/g) ?? [];
      assert.ok(settings.length > 0 || /\d|two/.test(bound), `${name}: ${bound}`);
      for (const setting of settings) assert.ok(Object.hasOwn(SETTINGS, setting), `${name}: ${setting}`);
      assert.ok(whenFull.length > 0, name);
    }
    assert.equal(new Set(TABLE.map(({ name }) => name)).size, TABLE.length);
  });

  it('names metrics that a running server shows, of all its threads and processes', async (context) => {
    const { server } = await startServer(context, serverSettings(context));
    const missing = await waitFor(
      async () => {
        const scrape = await server.scrape();
        const left = TABLE.filter(({ metric }) => !scrape.includes(`# TYPE ${metric} `));
        return left.length === 0 ? left : undefined;
      },
      { what: 'every queue in one scrape', timeoutMs: 10_000 },
    );
    assert.deepEqual(missing, []);
  });
});
