import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askServer } from '../../../src/main/control/client.js';
import { controlSocketPath } from '../../../src/main/control/protocol.js';
import { Lives } from '../../../src/main/hand-over/lives.js';
import { Tenure } from '../../../src/main/hand-over/tenure.js';
import { composeDependencies } from '../../../src/main/server/compose.js';
import { P2PServer } from '../../../src/main/server/server.js';
import { Tracing } from '../../../src/shared/tracing/tracing.js';
import { keptLog } from '../../support/logger.js';
import { serverSettings } from '../../support/server.js';
import { waitFor, within } from '../../support/wait.js';

test('a start that does not end when it is asked for the directory fails the hand-over in time, so that the process ends and the lock is free', async (context) => {
  let opening = false;
  let endOpening = () => {};
  const held = new Promise<void>((resolve) => {
    endOpening = resolve;
  });
  class StuckTracing extends Tracing {
    override async open(): Promise<void> {
      opening = true;
      await held;
    }
  }
  const settings = serverSettings(context, { p2p_datadir_wait: 60_000, shutdown_timeout: 1_000 });
  const tenure = new Tenure({ waitMs: settings.p2p_datadir_wait, version: 'old' });
  const { logger } = keptLog();
  const lives = new Lives(
    {
      logger,
      tenure,
      compose: () => {
        const composed = composeDependencies(settings, logger);
        const tracing = new StuckTracing({ logger, registry: composed.registry }, undefined);
        return P2PServer.create({ ...composed, tracing }, { tenure });
      },
    },
    { path: settings.DATADIR },
  );
  const failed = lives.run().then(
    () => assert.fail('it served'),
    (error: unknown) => error,
  );
  await waitFor(() => opening, { what: 'a start that hangs' });
  const { request } = new Tenure({ waitMs: 1, version: 'new' });
  const params = { ...request, confirmed: true };
  const answer = await askServer(controlSocketPath(settings.DATADIR), 'handOver', params, 60_000);
  assert.equal(answer.granted, true);
  try {
    assert.match(String(await within(failed, 60_000, 'the failure')), /took too long/);
    assert.equal(lives.server.handingOver, true);
  } finally {
    endOpening();
    await lives.stop();
  }
});
