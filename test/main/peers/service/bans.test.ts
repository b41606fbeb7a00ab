import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ClassicLevel } from 'classic-level';
import { Registry } from 'prom-client';
import { LevelBanStore } from '../../../../src/main/bans/level-store.js';
import { BanList } from '../../../../src/main/bans/list.js';
import { createBanMetrics } from '../../../../src/main/bans/metrics.js';
import { ServiceBans } from '../../../../src/main/peers/service/bans.js';
import { createRegistryClientMetrics } from '../../../../src/main/peers/service/metrics.js';
import { monotonic } from '../../../../src/shared/clock.js';
import { asPeer } from '../../../support/branded.js';
import { closing } from '../../../support/closing.js';
import { keptLog } from '../../../support/logger.js';
import { AUTHOR, OTHER_PEER } from '../../../support/sample-messages.js';
import { temporaryDirectory } from '../../../support/temporary.js';

const SPARED = '12D3KooWQYV9dGMFoRzNStwpXztXaBUjtPqi6aU76ZgUriHhKust';
const HOUR = 3_600_000;

async function open(context: TestContext, directory = join(temporaryDirectory(context), 'level')) {
  const level = new ClassicLevel<string, Uint8Array>(directory, { valueEncoding: 'view' });
  const { logger } = keptLog();
  const registry = new Registry();
  const list = new BanList({
    store: new LevelBanStore({ level, logger }),
    logger,
    metrics: createBanMetrics(registry),
  });
  await list.open();
  const metrics = createRegistryClientMetrics(registry);
  const bans = new ServiceBans(
    { list, logger, metrics, level, isSpared: (peer) => peer === SPARED },
    { durationMs: HOUR },
  );
  await bans.open();
  const close = closing(context, async () => {
    await list.stop();
    await level.close();
  });
  const refused = async () => (await metrics.refusedRows.get()).values[0]?.value;
  return { bans, list, directory, close, refused };
}

test('a peer is banned as long as it is listed, a protected one never, and what is no peer ID is counted', async (context) => {
  const { bans, list, refused } = await open(context);
  await bans.takeOver([AUTHOR, OTHER_PEER, SPARED, '192.0.2.7:8333', ''], monotonic());
  assert.deepEqual(
    [AUTHOR, OTHER_PEER, SPARED].map((peer) => list.isPeerBanned(asPeer(peer))),
    [true, true, false],
  );
  assert.equal(await refused(), 2);
  await bans.takeOver([OTHER_PEER], monotonic());
  assert.deepEqual([list.isPeerBanned(AUTHOR), list.isPeerBanned(OTHER_PEER)], [false, true]);
});

test('bans that others made here outlive the list', async (context) => {
  const { bans, list } = await open(context);
  await list.add(AUTHOR, Date.now() + HOUR, 'operator');
  await list.add(OTHER_PEER, Date.now() + HOUR, 'score');
  await bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  await bans.takeOver([], monotonic());
  assert.deepEqual(
    list
      .list()
      .map(({ origin }) => origin)
      .sort(),
    ['operator', 'score'],
  );
});

test('an older list does not lift a ban of which the service told since', async (context) => {
  const { bans, list } = await open(context);
  const asked = monotonic();
  bans.banned(AUTHOR, 'for spam');
  await bans.takeOver([], asked);
  assert.ok(list.isPeerBanned(AUTHOR));
  await bans.takeOver([], monotonic());
  assert.ok(!list.isPeerBanned(AUTHOR));
});

test('whom an operator lets in stays in while that ban lasts there, over a restart too', async (context) => {
  const first = await open(context);
  await first.bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  first.bans.pardon(AUTHOR);
  await first.list.remove(AUTHOR);
  first.bans.pardon(asPeer(SPARED));
  await first.bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  assert.deepEqual([first.list.isPeerBanned(AUTHOR), first.list.isPeerBanned(OTHER_PEER)], [false, true]);
  await first.close();

  const { bans, list } = await open(context, first.directory);
  // Before the service has said whom it bans.
  bans.pardon(asPeer(SPARED));
  await bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  assert.deepEqual([list.isPeerBanned(AUTHOR), list.isPeerBanned(OTHER_PEER)], [false, true]);
  await bans.takeOver([OTHER_PEER], monotonic());
  await bans.takeOver([AUTHOR], monotonic());
  assert.ok(list.isPeerBanned(AUTHOR));
  bans.pardonAll();
  await list.clear();
  await bans.takeOver([AUTHOR], monotonic());
  assert.equal(list.size, 0);
});

test('a service without a registry bans nobody, nor does its last list, and whom operators let in stays in when it has one again', async (context) => {
  const { bans, list } = await open(context);
  await bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  bans.pardon(AUTHOR);
  await list.remove(AUTHOR);
  const late = bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  bans.withdraw();
  await late;
  assert.equal(list.size, 0);
  await bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  assert.deepEqual([list.isPeerBanned(AUTHOR), list.isPeerBanned(OTHER_PEER)], [false, true]);
});

test('where everybody is let in before the service has said whom it bans, whom its first list names is in, over a restart too', async (context) => {
  const first = await open(context);
  first.bans.pardonAll();
  await first.list.clear();
  await first.close();

  const { bans, list, directory, close } = await open(context, first.directory);
  await bans.takeOver([AUTHOR], monotonic());
  assert.equal(list.size, 0);
  // Whom it bans from then on is out.
  await bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  assert.deepEqual([list.isPeerBanned(AUTHOR), list.isPeerBanned(OTHER_PEER)], [false, true]);
  await close();

  const last = await open(context, directory);
  await last.bans.takeOver([AUTHOR, OTHER_PEER], monotonic());
  assert.deepEqual([last.list.isPeerBanned(AUTHOR), last.list.isPeerBanned(OTHER_PEER)], [false, true]);
});
