import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { MemoryLevel } from 'memory-level';
import { Registry } from 'prom-client';
import type { FsmState } from '../../../src/main/chain/types.js';
import { createPeerMetrics } from '../../../src/main/peers/metrics.js';
import { PeerView } from '../../../src/main/peers/peer-view.js';
import { PeerRegistry } from '../../../src/main/peers/registry.js';
import type { SyncCandidate } from '../../../src/main/sync/candidates.js';
import { SyncCoordinator, type SyncCoordinatorComponents } from '../../../src/main/sync/coordinator.js';
import { DataHubs } from '../../../src/main/sync/data-hubs.js';
import { GuardedHttp } from '../../../src/main/sync/guarded-http.js';
import { createSyncMetrics } from '../../../src/main/sync/metrics.js';
import type { DataHubUrl } from '../../../src/shared/messages/data-hub-url.js';
import type { PeerIdText } from '../../../src/shared/net/peer-id.js';
import { checkContextOf } from '../../../src/shared/pipeline/check-context.js';
import { asHub, asPeer } from '../../support/branded.js';
import { startDataHub } from '../../support/data-hub.js';
import { sumOf } from '../../support/gossip.js';
import { keptLog } from '../../support/logger.js';
import { AUTHOR as FORCED } from '../../support/sample-messages.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { waitFor, within } from '../../support/wait.js';

const INTERVAL = 2_000;
const SETTLE = 5 * INTERVAL;

interface Told {
  height?: number;
  storage?: string;
  dataHubUrl?: DataHubUrl | '';
  hash?: string;
}

/** A coordinator on a real registry and real hubs, at a time of its own. */
async function world(
  context: TestContext,
  changes: SettingChanges = {},
  components: Partial<SyncCoordinatorComponents> = {},
) {
  const settings = settingsOf({ network: 'regtest', p2p_allow_private_ips: true, ...changes });
  const metrics = new Registry();
  const { logger, lines } = keptLog();
  const state = {
    now: 1_700_000_000_000,
    own: 100 as number | undefined,
    /** Of our chain. */
    work: [0x10, 0x00] as readonly number[],
    fsm: 'RUNNING' as FsmState | undefined,
    accepts: true,
    banned: new Set<string>(),
    scores: new Map<string, number>(),
    invalid: new Set<string>(),
    triggers: [] as SyncCandidate[],
  };
  const clock = () => state.now;
  const registry = new PeerRegistry(
    {
      level: new MemoryLevel<string, Uint8Array>({ valueEncoding: 'view' }),
      logger,
      metrics: createPeerMetrics(metrics),
      ownHeight: () => state.own,
      clock,
    },
    { maxHeightLead: 10_000 },
  );
  const syncMetrics = createSyncMetrics(metrics);
  const hub = await startDataHub(context);
  const coordinator = new SyncCoordinator({
    settings,
    logger,
    metrics: syncMetrics,
    peers: new PeerView(
      {
        registry,
        node: { peers: () => [], peer: () => undefined, peerId: asPeer('ourselves') },
        list: { isPeerBanned: (peer) => state.banned.has(peer) },
        scores: { score: (peer) => state.scores.get(peer) ?? 0 },
        clock,
      },
      { blacklistedHosts: ['blacklisted.example'] },
    ),
    // A new one each time: what it remembers goes by another clock than this world's.
    hubs: {
      answering: (urls, signal) =>
        new DataHubs(
          {
            http: new GuardedHttp({
              context: checkContextOf(settings),
              timeoutMs: 60_000,
              allowLoopback: true,
            }),
            metrics: syncMetrics,
          },
          { budgetMs: 60_000 },
        ).answering(urls, signal),
    },
    chain: {
      get best() {
        return state.own === undefined
          ? undefined
          : { height: state.own, chainWork: Uint8Array.from(state.work) };
      },
      get fsmState() {
        return state.fsm;
      },
    },
    isInvalid: (hash) => state.invalid.has(hash),
    requestCatchup: async (candidate) => {
      state.triggers.push(candidate);
      return state.accepts;
    },
    clock,
    ...components,
  });
  context.after(() => coordinator.stop());
  const tell = (peer: PeerIdText, told: Told = {}) =>
    registry.known.learn({
      type: 'node_status',
      peer,
      height: 200,
      hash: 'ab'.repeat(32),
      dataHubUrl: asHub(`${hub.url}/${peer}`),
      clientName: '',
      storage: 'full',
      chainWork: '',
      ...told,
    });
  return {
    state,
    registry,
    hub,
    coordinator,
    lines,
    tell,
    /** Time goes on by `ms`, and it looks. */
    after: async (ms: number) => {
      state.now += ms;
      await coordinator.look();
    },
    chosen: () => state.triggers.map(({ id }) => id),
    figure: async (name: string, labels: Record<string, string> = {}) =>
      sumOf(await metrics.metrics(), `teranode_p2p_sync_${name}`, labels),
  };
}

/** A world in which `one` was chosen; `two`, which did something once, is next. */
async function syncing(context: TestContext, changes: SettingChanges = {}) {
  const made = await world(context, { p2p_max_unproven_sync_probes_per_backoff_window: 1_000, ...changes });
  made.state.scores.set('two', 1);
  made.tell(asPeer('one'), { height: 300 });
  made.tell(asPeer('two'));
  await made.after(0);
  await made.after(SETTLE);
  assert.deepEqual(made.chosen(), ['one']);
  return made;
}

describe('the sync coordinator', () => {
  it('hands over the best block of a peer that is ahead, once, and is done when our height is there', async (context) => {
    const { after, state, coordinator, figure, tell, hub, lines } = await world(context);
    tell(asPeer('one'));
    await after(0);
    assert.equal(coordinator.syncPeer, undefined);
    await after(SETTLE);
    assert.deepEqual(state.triggers, [
      {
        id: 'one',
        height: 200,
        hash: 'ab'.repeat(32),
        dataHubUrl: `${hub.url}/one`,
        full: true,
        banScore: 0,
        reputation: 50,
        standing: 'stranger',
        ahead: false,
        delivers: false,
        validatedWork: '',
      },
    ]);
    assert.deepEqual(coordinator.syncPeer, {
      id: 'one',
      height: 200,
      hash: 'ab'.repeat(32),
      connectedAt: Math.floor(state.now / 1000),
    });
    assert.equal(await figure('active'), 1);
    assert.equal(await figure('blocks_behind'), 100);
    for (const own of [150, 199]) {
      state.own = own;
      await after(INTERVAL);
    }
    assert.equal(state.triggers.length, 1);
    state.own = 200;
    await after(INTERVAL);
    assert.equal(coordinator.syncPeer, undefined);
    assert.equal(await figure('ended_total', { reason: 'caught_up' }), 1);
    assert.equal(await figure('active'), 0);
    assert.equal(await figure('blocks_behind'), 0);
    const said = lines.map(({ msg }) => msg);
    assert.ok(said.includes('catching up from a peer') && said.includes('caught up with the sync peer'));
  });

  it('leaves alone what moves by itself, another state than RUNNING, and a chain that says nothing', async (context) => {
    const { after, state, tell, chosen, hub } = await world(context);
    tell(asPeer('one'));
    state.own = undefined;
    await after(SETTLE);
    state.own = 100;
    await after(SETTLE);
    for (let own = 101; own < 110; own++) {
      state.own = own;
      await after(SETTLE - 1);
    }
    for (const fsm of ['CATCHINGBLOCKS', 'LEGACYSYNCING', 'IDLE', 'UNKNOWN', undefined] as const) {
      state.fsm = fsm;
      await after(2 * SETTLE);
    }
    state.fsm = 'RUNNING';
    state.own = 200;
    await after(2 * SETTLE);
    state.own = 300;
    await after(2 * SETTLE);
    assert.deepEqual(chosen(), []);
    assert.equal(hub.connections, 0);
  });

  it('asks only peers that may be asked', async (context) => {
    const { after, state, tell, chosen, registry, figure } = await world(context);
    tell(asPeer('stale'), { height: 900 });
    state.now += 601_000;
    tell(asPeer('behind'), { height: 100 });
    tell(asPeer('hubless'), { height: 900, dataHubUrl: '' });
    tell(asPeer('nameless'), { height: 900, hash: '' });
    tell(asPeer('blacklisted'), { height: 900, dataHubUrl: asHub('http://blacklisted.example/') });
    tell(asPeer('banned'), { height: 900 });
    tell(asPeer('cheat'), { height: 900 });
    tell(asPeer('invalid'), { height: 900, hash: 'cd'.repeat(32) });
    tell(asPeer('unreachable'), { height: 900, dataHubUrl: asHub('http://127.0.0.1:1') });
    state.banned.add('banned');
    state.invalid.add('cd'.repeat(32));
    registry.records.malicious(asPeer('cheat'));
    await after(0);
    await after(SETTLE);
    assert.deepEqual(chosen(), []);
    tell(asPeer('good'), { height: 101 });
    await after(INTERVAL);
    assert.deepEqual(chosen(), ['good']);
    assert.equal(await figure('triggers_total', { outcome: 'sent' }), 1);
  });

  it('leaves a peer of which the chain says that it failed, for another, and comes back to it a minute later', async (context) => {
    const { after, chosen, coordinator, state, figure, lines } = await syncing(context);
    coordinator.peerFailed(asPeer('two'), 'not its turn');
    assert.equal(coordinator.syncPeer?.id, 'one');
    coordinator.peerFailed(asPeer('one'), 'no such block');
    assert.equal(coordinator.syncPeer, undefined);
    await after(INTERVAL);
    assert.deepEqual(chosen(), ['one', 'two']);
    coordinator.peerFailed(undefined, 'whoever it was');
    await after(2 * INTERVAL);
    assert.deepEqual(chosen(), ['one', 'two'], 'both rest');
    state.now += 60_000 - 3 * INTERVAL;
    await after(0);
    assert.deepEqual(chosen(), ['one', 'two', 'one']);
    coordinator.peerFailed(asPeer('one'), 'again');
    await after(60_000);
    assert.equal(chosen().at(-1), 'two');
    coordinator.peerFailed(asPeer('two'), 'again');
    await after(64_000);
    assert.equal(chosen().at(-1), 'one', 'two minutes after the second time');
    assert.equal(await figure('ended_total', { reason: 'failure' }), 4);
    assert.ok(
      lines.some(({ msg, detail }) => msg === 'the sync peer is given up' && detail === 'no such block'),
    );
  });

  it('leaves a peer with which our height stands still, and not one with which it rises', async (context) => {
    const { after, chosen, state, figure } = await syncing(context, {
      p2p_sync_peer_no_progress_timeout: 60_000,
    });
    for (let own = 101; own < 105; own++) {
      await after(59_000);
      state.own = own;
      await after(500);
    }
    assert.deepEqual(chosen(), ['one']);
    await after(60_000);
    assert.equal(await figure('ended_total', { reason: 'standstill' }), 1);
    await after(INTERVAL);
    assert.deepEqual(chosen(), ['one', 'two']);
  });

  it('leaves a peer when the chain has stopped catching up short of it', async (context) => {
    const { after, chosen, state, figure } = await syncing(context);
    state.fsm = 'CATCHINGBLOCKS';
    await after(INTERVAL);
    state.own = 150;
    state.fsm = 'RUNNING';
    await after(INTERVAL);
    await after(SETTLE - 1);
    assert.deepEqual(chosen(), ['one']);
    await after(1);
    assert.equal(await figure('ended_total', { reason: 'ended_early' }), 1);
    await after(INTERVAL);
    assert.deepEqual(chosen(), ['one', 'two']);
  });

  it('leaves a peer that is banned, or loses its reputation', async (context) => {
    const { after, chosen, state, registry, figure } = await syncing(context);
    state.banned.add('one');
    await after(INTERVAL);
    await after(INTERVAL);
    assert.deepEqual(chosen(), ['one', 'two']);
    registry.records.catchupFailure(asPeer('two'), 'call');
    await after(INTERVAL);
    for (const reason of ['banned', 'low_reputation']) {
      assert.equal(await figure('ended_total', { reason }), 1, reason);
    }
  });

  it('prefers peers with full storage, and asks others only where that is allowed', async (context) => {
    const { after, chosen, tell, coordinator } = await world(context);
    tell(asPeer('pruned'), { height: 900, storage: 'pruned' });
    tell(asPeer('full'));
    await after(0);
    await after(SETTLE);
    coordinator.peerFailed(asPeer('full'), '');
    await after(INTERVAL);
    assert.deepEqual(chosen(), ['full', 'pruned']);
    const strict = await world(context, { p2p_allow_pruned_node_fallback: false });
    strict.tell(asPeer('pruned'), { storage: 'pruned' });
    strict.tell(asPeer('unknown'), { storage: '' });
    await strict.after(0);
    await strict.after(SETTLE);
    assert.deepEqual(strict.chosen(), []);
  });

  it('asks the forced peer and nobody else, whatever it did, while it is ahead and answers', async (context) => {
    const { after, chosen, tell, state, coordinator, hub, registry } = await world(context, {
      p2p_max_unproven_sync_probes_per_backoff_window: 0,
      p2p_force_sync_peer: FORCED,
    });
    tell(asPeer('other'), { height: 900 });
    await after(0);
    await after(SETTLE);
    assert.deepEqual(chosen(), []);
    tell(FORCED, { storage: 'pruned' });
    state.banned.add(FORCED);
    registry.records.malicious(FORCED);
    await after(INTERVAL * 32);
    assert.deepEqual(chosen(), [FORCED]);
    await after(INTERVAL);
    assert.equal(coordinator.syncPeer?.id, FORCED);
    coordinator.peerFailed(FORCED, '');
    hub.answer = (_, response) => void response.writeHead(503).end();
    await after(INTERVAL * 32);
    hub.answer = (_, response) => void response.end();
    await after(INTERVAL * 32);
    assert.deepEqual(chosen(), [FORCED, FORCED]);
  });

  it('looks ever more rarely while nobody can be had, a minute at the most apart, and says so once', async (context) => {
    const { after, hub, tell, lines, chosen } = await world(context);
    hub.answer = (_, response) => void response.writeHead(502).end();
    const times: number[] = [];
    await after(0);
    for (let second = 0; second < 400; second += 2) {
      // A new peer each time: that those who did not answer rest is not what is tested.
      tell(asPeer(`peer-${second}`));
      hub.asked.length = 0;
      await after(INTERVAL);
      if (hub.asked.length > 0) times.push(second);
    }
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    assert.deepEqual(gaps, [2, 4, 8, 16, 32, 64, 64, 64, 64, 64]);
    assert.deepEqual(chosen(), []);
    assert.equal(lines.filter(({ msg }) => msg === 'behind, and no peer to catch up from').length, 1);
  });

  it('after hours in which no data hub could be reached, asks again within two minutes', async (context) => {
    let reachable = false;
    const answering = async (urls: readonly DataHubUrl[]) =>
      new Map(urls.map((url) => [url, reachable && url.endsWith('/one') ? 5 : undefined]));
    const { after, tell, chosen, state } = await world(
      context,
      {},
      { hubs: { answering }, isConfigured: (id) => id === 'one' },
    );
    await after(0);
    for (let minute = 0; minute < 180; minute++) {
      tell(asPeer('one'));
      await after(60_000);
    }
    reachable = true;
    const since = state.now;
    while (chosen().length === 0 && state.now - since < 3_600_000) {
      tell(asPeer('one'));
      // There is always another that may be asked, so that nobody is woken before it has rested.
      tell(asPeer(`made-up-${state.now}`));
      await after(INTERVAL);
    }
    assert.deepEqual(chosen(), ['one']);
    assert.ok(state.now - since <= 120_000, `${state.now - since} ms`);
  });

  it('when every peer rests for longer than a minute, tries them in turn', async (context) => {
    const { after, chosen, coordinator, tell } = await syncing(context);
    for (let n = 0; n < 11; n++) {
      if (coordinator.syncPeer !== undefined) coordinator.peerFailed(undefined, 'in vain');
      for (let waited = 0; coordinator.syncPeer === undefined && waited < 600_000; waited += 1_000) {
        tell(asPeer('one'), { height: 300 });
        tell(asPeer('two'));
        await after(1_000);
      }
    }
    const expected = Array.from({ length: 12 }, (_, n) => (n % 2 === 0 ? 'one' : 'two'));
    assert.deepEqual(chosen(), expected);
  });

  it('finds the peer that is configured or was of use among any number of made-up ones', async (context) => {
    const asked: string[] = [];
    const hubs = {
      answering: async (urls: readonly DataHubUrl[]) => {
        asked.push(...urls);
        return new Map(urls.map((url) => [url, /configured|useful/.test(url) ? 5 : undefined]));
      },
    };
    for (const honest of ['configured', 'useful']) {
      const { after, tell, chosen, registry } = await world(
        context,
        {},
        { hubs, isConfigured: (id) => id === 'configured' },
      );
      tell(asPeer(honest), { dataHubUrl: asHub(`http://${honest}.example`) });
      if (honest === 'useful') registry.records.validBlock(asPeer('useful'));
      for (let n = 0; n < 1_000; n++)
        tell(asPeer(`made-up-${n}`), { height: 9_000, dataHubUrl: asHub(`http://${n}.example`) });
      await after(0);
      await after(SETTLE);
      assert.deepEqual(chosen(), [honest]);
      assert.ok(asked.length <= 64);
    }
  });

  it('does not take for chosen what the outbox refuses', async (context) => {
    const { after, state, tell, coordinator, figure } = await world(context);
    tell(asPeer('one'));
    state.accepts = false;
    await after(0);
    await after(SETTLE);
    assert.equal(coordinator.syncPeer, undefined);
    assert.equal(await figure('triggers_total', { outcome: 'refused' }), 1);
    state.accepts = true;
    await after(INTERVAL);
    assert.equal(await figure('active'), 1);
  });

  it('tries three peers of which nothing is proven, then none until a pause is over, or our height has risen', async (context) => {
    const { after, chosen, coordinator, tell, state } = await world(context);
    const wait = async (ms: number): Promise<void> => {
      for (let n = 0; n < 20; n++) tell(asPeer(`made-up-${n}`));
      await after(ms);
    };
    const fail = async (times: number): Promise<void> => {
      for (let n = 0; n < times; n++) {
        coordinator.peerFailed(undefined, 'in vain');
        // Longer than any pause between two attempts.
        await wait(INTERVAL * 32);
      }
    };
    await wait(0);
    await wait(SETTLE);
    await fail(3);
    assert.equal(chosen().length, 3, 'and nobody a fourth time');
    assert.equal(coordinator.syncPeer, undefined);
    await wait(INTERVAL);
    assert.equal(chosen().length, 3, 'the pause has begun');
    await wait(INTERVAL * 32);
    assert.equal(chosen().length, 4);
    await fail(1);
    state.own = 101;
    await wait(0);
    await fail(3);
    assert.equal(chosen().length, 8, 'a new height is a new count');
  });

  it('tries who is proven however many were tried in vain, and with none allowed nobody else', async (context) => {
    const { after, chosen, tell, registry, lines, coordinator } = await world(context, {
      p2p_max_unproven_sync_probes_per_backoff_window: 0,
    });
    coordinator.start();
    assert.ok(lines.some(({ msg }) => String(msg).startsWith('p2p_max_unproven_sync_probes')));
    tell(asPeer('made-up'));
    await after(0);
    await after(SETTLE);
    await after(INTERVAL * 32);
    assert.deepEqual(chosen(), []);
    tell(asPeer('ahead'));
    registry.records.validatedProgress(asPeer('ahead'), 300, 'ab'.repeat(32), Uint8Array.of(0x10, 0x01));
    await after(INTERVAL * 32);
    assert.deepEqual(chosen(), ['ahead']);
    const other = await world(context, { p2p_max_unproven_sync_probes_per_backoff_window: 0 });
    other.tell(asPeer('delivers'));
    other.registry.records.validBlock(asPeer('delivers'));
    await other.after(0);
    await other.after(SETTLE);
    assert.deepEqual(other.chosen(), ['delivers']);
  });

  it('gives those of whom nothing is proven their turn again when who is proven was tried in vain', async (context) => {
    const { after, chosen, tell, registry, coordinator, state } = await world(context, {
      p2p_max_unproven_sync_probes_per_backoff_window: 1,
    });
    registry.records.validBlock(asPeer('proven'));
    const telling = new Map([
      ['proven', 200],
      ['made-up', 200],
    ]);
    const failing = async () => {
      for (let n = 0; n < 100 && coordinator.syncPeer === undefined; n++) {
        for (const [peer, height] of telling) tell(asPeer(peer), { height });
        await after(INTERVAL);
      }
      coordinator.peerFailed(undefined, 'it leads nowhere');
    };
    for (let n = 0; n <= 5; n++) await failing();
    state.triggers.length = 0;
    // Now the pauses are as long as the shortest rest: who is proven may be woken as soon as one is over.
    telling.set('honest', 250);
    for (let n = 0; n < 12; n++) await failing();
    assert.ok(chosen().includes(asPeer('honest')), `tried: ${chosen().join(', ')}`);
  });

  it('leaves a peer that moves nothing for one with more validated work, half of its time later', async (context) => {
    const { after, chosen, registry, figure } = await syncing(context, {
      p2p_sync_peer_no_progress_timeout: 600_000,
    });
    registry.records.validatedProgress(asPeer('two'), 300, 'cd'.repeat(32), Uint8Array.of(0x20, 0x00));
    await after(299_000);
    await after(1_000);
    assert.deepEqual(chosen(), ['one'], 'as long as half of its time is not over');
    await after(1_000);
    assert.equal(await figure('ended_total', { reason: 'outdone' }), 1);
    await after(INTERVAL);
    assert.deepEqual(chosen(), ['one', 'two']);
  });

  it('stays with a peer that moves nothing while nobody has more validated work, or its own is more', async (context) => {
    const { after, registry, figure, coordinator } = await syncing(context, {
      p2p_sync_peer_no_progress_timeout: 600_000,
    });
    registry.records.validatedProgress(asPeer('one'), 300, 'ab'.repeat(32), Uint8Array.of(0x20, 0x00));
    registry.records.validatedProgress(asPeer('two'), 300, 'cd'.repeat(32), Uint8Array.of(0x20, 0x00));
    for (let n = 0; n < 9; n++) await after(60_000);
    assert.equal(coordinator.syncPeer?.id, 'one');
    await after(60_000);
    assert.equal(await figure('ended_total', { reason: 'standstill' }), 1);
    assert.equal(await figure('ended_total', { reason: 'outdone' }), 0);
  });

  it('with data hubs unchecked it takes the best without a question', async (context) => {
    const { after, tell, chosen, hub } = await world(context, { p2p_health_check_enabled: false });
    tell(asPeer('one'), { dataHubUrl: asHub('http://127.0.0.1:1') });
    await after(0);
    await after(SETTLE);
    assert.deepEqual(chosen(), ['one']);
    assert.equal(hub.connections, 0);
  });

  it('stops while hubs or the outbox keep it waiting, and looks by itself before', async (context) => {
    const silent = await world(context, { p2p_sync_interval: 10 });
    silent.hub.answer = () => {};
    silent.tell(asPeer('one'));
    silent.state.now += SETTLE;
    await silent.coordinator.look();
    silent.coordinator.start();
    silent.state.now += SETTLE;
    await waitFor(() => silent.hub.asked.length > 0, { what: 'a question that is not answered' });
    await within(silent.coordinator.stop(), 20_000, 'the stop');
    const stuck = await world(context, {}, { requestCatchup: () => new Promise(() => {}) });
    stuck.tell(asPeer('one'));
    await stuck.after(0);
    const looking = stuck.after(SETTLE);
    await waitFor(() => stuck.hub.asked.length > 0, { what: 'a question' });
    await within(stuck.coordinator.stop(), 20_000, 'the stop');
    await looking;
    assert.equal(stuck.coordinator.syncPeer, undefined);
  });
});
