import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { QUEUES, type Queue } from '../../src/shared/queues.js';
import { queuesMarkdown } from '../../src/shared/queues-markdown.js';
import { SETTINGS } from '../../src/shared/settings/table.js';
import { NotificationsTopic, startGateway } from '../support/gateway.js';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

const TABLE: readonly Queue[] = Object.values(QUEUES);

/** For each queue the test that fills it up and sees its rule: file and title. */
const FILLED: Readonly<Record<keyof typeof QUEUES, readonly [file: string, title: string]>> = {
  handshakes: [
    'main/node/connections/admission',
    'gets in while more addresses than there are places hold one idle connection each',
  ],
  directMessages: [
    'main/node/protocols/direct-stream',
    'is there for others while a crowd of peers holds as many half-open streams as it likes',
  ],
  addressRequests: [
    'main/node/protocols/address-lookup',
    'answers others while a crowd of peers holds as many open requests as it likes',
  ],
  probes: [
    'main/health/strangers',
    'probes are answered while others, of their own source too, hold every place they can',
  ],
  grpcConnections: ['main/grpc/strangers', 'connections of one source leave room for those of others'],
  longAnswers: ['main/grpc/strangers', 'calls whose answers nobody reads leave room and memory for others'],
  connectionBudget: ['main/node/gossip/flood', 'what exceeds a connection’s budget is dropped unverified'],
  withoutVerdict: [
    'main/node/gossip/flood',
    'a flood of 20,000 messages is heard whole while what is pending stays bounded',
  ],
  gossipToPeer: ['main/node/gossip/flood', 'a peer that does not read what it is sent is let go'],
  gossipToCheckers: [
    'main/pipeline/queue',
    'sheds from the source with the most bytes, its lowest priority first and oldest first',
  ],
  batchesWithCheckers: ['main/pipeline/pipeline', 'has two batches in flight a checker at the most'],
  unclaimed: [
    'main/pipeline/pipeline',
    'forgets what GossipSub does not ask for in the same turn, and counts it',
  ],
  publishing: [
    'main/pipeline/pipeline',
    'collects nothing more while the publisher has enough, and loses nothing of it',
  ],
  outbox: [
    'workers/publisher',
    'a full outbox refuses new announcements, takes everything else, and takes them once there is room',
  ],
  deadLetters: ['shared/sinks/dead-letters', 'dead letters are bounded: the oldest goes, loudly'],
  blockFound: [
    'workers/publisher/block-found',
    'without the service verdicts and records flow all the same, and each call is counted',
  ],
  framesToServer: [
    'shared/feed/stream',
    'does not grow for a reader that stopped reading, which then reads on in the journal',
  ],
  framesToClient: [
    'workers/websocket-server',
    'evicts a client that never reads with a gap-free prefix, while others get everything in time',
  ],
  replayToClient: [
    'workers/websocket-server/feed/readers',
    'that replays and takes nothing costs its bound, and is served on when it takes something',
  ],
  stretches: [
    'workers/websocket-server/feed/readers',
    'of stretches that were read is bounded, however many replay at different places',
  ],
  filters: [
    'workers/websocket-server/feed/readers',
    'of filters is bounded: one client too many is refused, and let in when another has gone',
  ],
  batches: [
    'workers/websocket-server/feed/readers',
    'of different batches is bounded, as is what waits to be compressed: its readers go on from the journal',
  ],
  eventStreams: [
    'workers/websocket-server/sse',
    'serves who does not read from the journal when it reads again, without a gap',
  ],
  pages: [
    'workers/websocket-server/pages',
    'gives back what it has, and where to go on, when a page has read as much as it may',
  ],
  transfers: ['workers/websocket-server/segments', 'sends a source so many at once, and refuses more'],
  announcements: [
    'main/announce/announcement-queue',
    'when full, subtrees give way before blocks, the oldest first, and the order holds',
  ],
  rejectedTransactions: [
    'main/announce/rejected-transactions',
    'a burst goes out at once, then the rate holds',
  ],
  repeats: ['workers/publisher/admission', 'what is remembered is bounded, and the newest half always is'],
  gatewayMerge: ['main/gateway/merge-window', 'announcements remembered are bounded: the older half goes'],
  announcers: [
    'workers/publisher/announcers',
    'announcers are bounded in all and a hash: the least recently announced hash goes, and subtrees push out no block',
  ],
  invalidBlocks: ['main/feedback/invalid-feedback', 'the invalid blocks remembered are bounded'],
  banScores: ['main/bans/scores', 'scores are bounded: the least recently used is forgotten'],
  bansByScore: [
    'main/bans/list',
    'automatic bans are bounded, go soonest first, and never displace or shorten an operator’s',
  ],
  banChanges: [
    'main/bans/stored-changes',
    'at the bound of keys that wait a further change is answered as not stored, and those that wait may change',
  ],
  gossipIds: [
    'main/node/patches/gossip-memory',
    'ids stay within their bytes whatever comes, and the newest are still known',
  ],
  gossipKept: [
    'main/node/patches/gossip-memory',
    'messages stay within their bytes: the oldest go, and none without its verdict',
  ],
  peerCache: ['main/node/peer-store/peer-cache', 'forgets after 24 hours, and keeps the newest of too many'],
  peerFacts: [
    'main/peers/known-peers',
    'memory is bounded: the stranger least recently heard is forgotten, and that is told',
  ],
  peerRecords: ['main/peers/peer-records', 'records are bounded: the least recently reported is forgotten'],
  registryChanges: [
    'main/peers/registry',
    'when more has changed than may wait, everything is compared and nothing is missed',
  ],
  registryUpdates: [
    'main/peers/service/pending',
    'strangers crowd out each other at the most, and every loss is counted',
  ],
  dataHubChecks: [
    'main/sync/data-hubs',
    'hubs that hold on to their answers cost one budget, eight requests at once, and are asked again',
  ],
};

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

  it('names metrics that a running server or gateway shows, of all its threads and processes', async (context) => {
    const { server } = await startServer(context, serverSettings(context));
    const { gateway } = await startGateway(context, await NotificationsTopic.start(context));
    const missing = await waitFor(
      async () => {
        const scrape = (await server.scrape()) + (await gateway.scrape());
        const left = TABLE.filter(({ metric }) => !scrape.includes(`# TYPE ${metric} `));
        return left.length === 0 ? left : undefined;
      },
      { what: 'every queue in one scrape', timeoutMs: 10_000 },
    );
    assert.deepEqual(missing, []);
  });

  it('has a test for each that fills it up', () => {
    assert.deepEqual(Object.keys(FILLED).sort(), Object.keys(QUEUES).sort());
    for (const [name, [file, title]] of Object.entries(FILLED)) {
      const source = readFileSync(new URL(`../../../test/${file}.test.ts`, import.meta.url), 'utf8');
      assert.ok(source.includes(`('${title}',`), `${name}: no test “${title}” in ${file}`);
    }
  });

  it('is what docs/queues.md says', () => {
    const file = readFileSync(new URL('../../../docs/queues.md', import.meta.url), 'utf8');
    assert.equal(file, queuesMarkdown(), 'run npm run docs:settings');
  });
});
