import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Registry } from 'prom-client';
import type { IncomingMessage } from '../../../src/main/node/types.js';
import { Pipeline } from '../../../src/main/pipeline/index.js';
import { createPipelineMetrics } from '../../../src/main/pipeline/metrics.js';
import { KafkaSubtreeTopicMessage } from '../../../src/shared/generated/kafkamessage.js';
import type { PeerFact } from '../../../src/shared/messages/fact.js';
import { MESSAGE_KINDS, subtree } from '../../../src/shared/messages/index.js';
import type { MessageKind } from '../../../src/shared/messages/kind.js';
import type { AuthorStanding } from '../../../src/shared/pipeline/standing.js';
import { asPeer } from '../../support/branded.js';
import { keptLog } from '../../support/logger.js';
import { sighting as sightingKind } from '../../support/made-up/sighting.js';
import { trap } from '../../support/made-up/trap.js';
import type { JournalBatch, JournalMessage } from '../../support/recording-publisher.js';
import { AUTHOR, OTHER_PEER, sampleData, sampleFields } from '../../support/sample-messages.js';
import { type SettingChanges, settingsOf } from '../../support/settings.js';
import { createSigner, forged, type Signer } from '../../support/signed.js';
import { SharedByTests, temporaryDirectory } from '../../support/temporary.js';
import { checkerOf, SIGHTING, TRAP, treeWith } from '../../support/tree-with.js';
import { waitFor } from '../../support/wait.js';

const KINDS: readonly MessageKind[] = [...MESSAGE_KINDS, sightingKind, trap];
const shared = new SharedByTests();
/** The checkers' program that knows them. */
let checkers: URL;
before(() => {
  checkers = checkerOf(treeWith(shared, SIGHTING, TRAP));
});
after(() => shared.clean());

/** Id of the kind of this name. */
const kindOf = (kind: string) => KINDS.find(({ name }) => name === kind)?.id ?? 0;
const OWN_PEER = '12D3KooWKRyzVWW6ChFjQjK4miCty85Niy48tpPV95XdKu1BcvMA';

interface Verdict {
  readonly id: string;
  readonly verdict: string;
}

async function pipelineOf(
  context: TestContext,
  changes: SettingChanges = {},
  options: { start?: boolean; checkerTimeoutMs?: number; checkerFile?: URL } = {},
) {
  const journalPath = join(temporaryDirectory(context), 'journal');
  const settings = settingsOf({ p2p_checkers: 3, ...changes });
  const registry = new Registry();
  const log = keptLog();
  const verdicts: Verdict[] = [];
  const facts: PeerFact[] = [];
  const offences: [string, string][] = [];
  const banned = new Set<string>();
  const low = new Set<string>();
  const standings = new Map<string, AuthorStanding>();
  const { start = true, ...rest } = options;
  const pipeline = new Pipeline(
    {
      settings,
      logger: log.logger,
      metrics: createPipelineMetrics(registry),
      bans: { isPeerBanned: (peer) => banned.has(peer) },
      reputation: { isLow: (peer) => low.has(peer) },
      standingOf: (author) => standings.get(author) ?? 'stranger',
    },
    {
      publisher: {
        settings,
        journalPath,
        frameSocketPath: '',
        brokerSocketPath: undefined,
        peerId: asPeer(OWN_PEER),
        logLevel: 'info',
      },
      kinds: KINDS,
      checkerFile: checkers,
      publisherFile: new URL('../../support/recording-publisher.js', import.meta.url),
      ...rest,
    },
  );
  pipeline.on('verdict', (id, verdict) => void verdicts.push({ id, verdict }));
  pipeline.on('fact', (fact) => void facts.push(fact));
  pipeline.on('offence', (author, offence) => void offences.push([author, offence]));
  context.after(() => pipeline.stop());
  if (start) await pipeline.start();

  let pushed = 0;
  const push = (kind: string, data: Uint8Array | string, author = AUTHOR, source = author): string => {
    const id = `m${pushed++}`;
    pipeline.push({
      id,
      kind: kindOf(kind),
      author,
      source,
      data: typeof data === 'string' ? Buffer.from(data) : data,
    });
    return id;
  };
  const batches = (): JournalBatch[] =>
    existsSync(journalPath)
      ? readFileSync(journalPath, 'utf8')
          .split('\n')
          // What is behind the last end of a line is still being written.
          .slice(0, -1)
          .map((line) => JSON.parse(line) as JournalBatch)
      : [];
  const journal = (): JournalMessage[] => batches().flatMap(({ messages }) => messages);
  const verdictOf = (id: string) => verdicts.filter((one) => one.id === id).map(({ verdict }) => verdict);
  const settled = (count: number) =>
    waitFor(() => verdicts.length >= count, { what: `${count} verdicts`, timeoutMs: 60_000 });
  const counted = async (kind: string, outcome: string) => {
    const metric = registry.getSingleMetric('teranode_p2p_messages_total');
    const values = (await metric?.get())?.values ?? [];
    return values.find(({ labels }) => labels.kind === kind && labels.outcome === outcome)?.value ?? 0;
  };
  const gauge = async (name: string) =>
    (await registry.getSingleMetric(name)?.get())?.values[0]?.value ?? Number.NaN;
  /** Asks of a message as GossipSub does, and takes up what holds: `m…` is its id. */
  const check = async (message: IncomingMessage): Promise<string> => {
    const { judgement } = pipeline.check(message);
    const found = await judgement;
    if (found.signature !== 'holds') return found.signature;
    const { kind, author, source, data } = message;
    const id = `m${pushed++}`;
    pipeline.push({ id, kind, author, source, data, judgement: found });
    return id;
  };
  return {
    pipeline,
    check,
    registry,
    gauge,
    journalPath,
    log,
    verdicts,
    facts,
    offences,
    banned,
    low,
    standings,
    push,
    batches,
    journal,
    verdictOf,
    settled,
    counted,
  };
}

const sighting = (hash: string, peer = AUTHOR) =>
  JSON.stringify({ Hash: hash, DataHubUrl: 'http://a.example.org', PeerId: peer });
const numbered = (n: number) => n.toString(16).padStart(64, '0');

describe('the pipeline', () => {
  it('verifies and checks in one call: forged, bad and good told apart, and only what is good is published', async (context) => {
    const { check, settled, verdictOf, offences, counted, journal, facts } = await pipelineOf(context);
    const author = createSigner();
    const good = author.sign(kindOf('block'), sampleData('block', {}, 'message-bus', author.id));
    const bad = author.sign(kindOf('block'), sampleData('block', { peerId: OTHER_PEER }), OTHER_PEER);
    const [first, second, third] = await Promise.all([check(good), check(forged(good)), check(bad)]);
    assert.equal(second, 'forged');
    await settled(2);
    assert.deepEqual([verdictOf(first), verdictOf(third)], [['accept'], ['ignore']]);
    assert.deepEqual(offences, [[author.id, 'protocol_violation']], 'a forgery is nobody’s');
    assert.deepEqual(
      [await counted('block', 'ok'), await counted('block', 'forged'), await counted('block', 'spoofed')],
      [1, 1, 1],
    );
    assert.deepEqual(
      journal().map(({ author: by, outcome }) => [by, outcome]),
      [[author.id, 'ok']],
    );
    await waitFor(() => facts.length === 1);
    assert.deepEqual([facts[0]?.type, facts[0]?.peer], ['block', author.id]);
  });

  it('refuses before any signature what is too large, of a banned or a low author, and scores nobody', async (context) => {
    const { check, banned, low, counted, offences, verdicts, journal } = await pipelineOf(context);
    const [outcast, doubtful, other] = [createSigner(), createSigner(), createSigner()];
    banned.add(outcast.id);
    low.add(doubtful.id);
    const subtreeOf = (author: Signer) =>
      author.sign(kindOf('subtree'), sampleData('subtree', {}, 'direct', author.id));
    const large = other.sign(kindOf('rejected_tx'), 'x'.repeat(100_000));
    // Not even the signatures are looked at: these do not hold.
    const said = await Promise.all(
      [subtreeOf(outcast), subtreeOf(doubtful), large].map((one) => check(forged(one))),
    );
    assert.deepEqual(said, ['refused', 'refused', 'refused']);
    assert.deepEqual(
      [
        await counted('subtree', 'banned'),
        await counted('subtree', 'low_reputation'),
        await counted('rejected_tx', 'oversized'),
      ],
      [1, 1, 1],
    );
    assert.deepEqual([offences, verdicts, journal()], [[], [], []]);
  });

  it('says of what had to make room that it was shed, and of what comes after the end that it is refused', async (context) => {
    const { pipeline, check, counted } = await pipelineOf(
      context,
      { p2p_queue_bytes: 1_048_576 },
      { start: false },
    );
    const author = createSigner();
    const message = author.sign(kindOf('node_status'), sampleData('node_status', {}, 'direct', author.id));
    const said = Promise.all(Array.from({ length: 1000 }, () => check(message)));
    await pipeline.start();
    const shed = (await said).filter((one) => one === 'shed').length;
    assert.ok(shed > 100 && shed < 900, `${shed} shed`);
    assert.equal(await counted('node_status', 'shed'), shed);
    await pipeline.drain(60_000);
    assert.equal(await check(message), 'refused');
  });

  it('answers in the order of collection when one of three checkers is slow, by whatever ways an author’s messages come', async (context) => {
    const { check, settled, journal, gauge } = await pipelineOf(
      context,
      {},
      { checkerFile: new URL('../../support/slow-checker.js', import.meta.url) },
    );
    const authors = [createSigner(), createSigner()];
    const sources = ['one', 'two', 'three'].map(asPeer);
    const answered: number[] = [];
    let most = 0;
    for (let n = 0; n < 4000; n++) {
      const author = authors[n % 2]!;
      const data = sampleData('subtree', { hash: numbered(n) }, 'direct', author.id);
      check(author.sign(kindOf('subtree'), data, sources[n % 3])).then(
        () => answered.push(n),
        () => {},
      );
      if (n % 129 !== 0) continue;
      most = Math.max(most, await gauge('teranode_p2p_pipeline_batches_in_flight'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await settled(4000);
    assert.ok(most >= 3, `${most} batches at once`);
    const published = journal().map(({ frame }) => Number.parseInt(JSON.parse(frame).hash, 16));
    assert.deepEqual(published, answered);
    for (const of of [0, 1]) {
      const expected = Array.from({ length: 2000 }, (_, n) => 2 * n + of);
      assert.deepEqual(
        answered.filter((n) => n % 2 === of),
        expected,
        'each author’s order',
      );
    }
  });

  it('forgets what GossipSub does not ask for in the same turn, and counts it', async (context) => {
    const { pipeline, check, settled, journal, registry } = await pipelineOf(context);
    const author = createSigner();
    const sign = (n: number) =>
      author.sign(kindOf('subtree'), sampleData('subtree', { hash: numbered(n) }, 'direct', author.id));
    const unasked = Array.from({ length: 50 }, (_, n) => pipeline.check(sign(n)).judgement);
    await check(sign(50));
    assert.ok((await Promise.all(unasked)).every(({ signature }) => signature === 'holds'));
    await settled(1);
    assert.equal(journal().length, 1);
    const metric = registry.getSingleMetric('teranode_p2p_pipeline_unclaimed_total');
    assert.equal((await metric?.get())?.values[0]?.value, 50);
    assert.equal(pipeline.busy, false);
  });

  it('checks a newcomer’s message soon beside a source whose messages take long', async (context) => {
    const { push, verdicts } = await pipelineOf(context, { p2p_checkers: 1 });
    const busy = JSON.stringify({ spring: 'busy' });
    const slow = new Set<string>();
    const done = () => verdicts.filter(({ id }) => slow.has(id)).length;
    // Always 200 in front of whoever comes.
    const fill = () => {
      while (slow.size < done() + 200) slow.add(push('trap', busy, OTHER_PEER));
    };
    await waitFor(
      () => {
        fill();
        return done() >= 250;
      },
      { what: 'verdicts on messages that take long', timeoutMs: 60_000, everyMs: 1 },
    );
    fill();
    const before = done();
    const id = push('sighting', sighting(numbered(1)));
    const verdict = await waitFor(
      () => {
        fill();
        return verdicts.find((one) => one.id === id);
      },
      { what: 'the newcomer’s verdict', timeoutMs: 60_000, everyMs: 1 },
    );
    assert.equal(verdict.verdict, 'accept');
    // Two batches are with the checker, each of 20 ms at the most; the third is the newcomer's. What had been checked and had no verdict yet goes first too.
    const first =
      verdicts.slice(0, verdicts.indexOf(verdict)).filter((one) => slow.has(one.id)).length - before;
    assert.ok(first <= 100, `${first} of 200 messages went first`);
  });

  it('keeps each originator’s order across three checkers', async (context) => {
    const { push, settled, journal, verdicts } = await pipelineOf(context);
    const authors = [AUTHOR, OTHER_PEER];
    for (let n = 0; n < 4000; n++) {
      const author = authors[n % 2]!;
      push('subtree', sampleData('subtree', { hash: numbered(n) }, 'direct', author), author);
      // Let some turns pass, so that batches differ in size and travel at the same time.
      if (n % 37 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await settled(4000);
    for (const author of authors) {
      const seen = journal()
        .filter((message) => message.author === author)
        .map(({ frame }) => Number.parseInt(JSON.parse(frame).hash, 16));
      assert.equal(seen.length, 2000);
      assert.deepEqual(
        seen,
        [...seen].sort((a, b) => a - b),
      );
    }
    assert.ok(verdicts.every(({ verdict }) => verdict === 'accept'));
  });

  it('takes a made-up kind from gossip to record and frame', async (context) => {
    const { push, settled, journal, counted } = await pipelineOf(context);
    push('sighting', sighting('AB'.repeat(32)));
    await settled(1);
    const [message] = journal();
    assert.equal(JSON.parse(message!.frame).type, 'sighting');
    const record = KafkaSubtreeTopicMessage.decode(Buffer.from(message!.record, 'hex'));
    assert.equal(record.hash, 'ab'.repeat(32));
    assert.equal(await counted('sighting', 'ok'), 1);
  });

  it('hands on what is known of an author, and whether what it says is proven', async (context) => {
    const { push, settled, journal, standings } = await pipelineOf(context);
    const standing = ['connected', 'reputed', 'configured', 'stranger'] as const;
    for (const one of standing) {
      standings.set(AUTHOR, one);
      push('block', sampleData('block'));
      push('block', sampleData('block', { header: '' }));
      push('subtree', sampleData('subtree'));
    }
    await settled(12);
    assert.deepEqual(
      journal().map(({ standing, proven }) => `${standing}${proven ? ', proven' : ''}`),
      standing.flatMap((one) => [`${one}, proven`, one, one]),
    );
  });

  it('rejects bad content from its author, ignores it from a relay, and scores the author in both', async (context) => {
    const { push, settled, verdictOf, offences, counted } = await pipelineOf(context);
    const spoofed = sampleData('subtree', { peerId: OTHER_PEER });
    const direct = push('subtree', spoofed, AUTHOR, AUTHOR);
    const relayed = push('subtree', spoofed, AUTHOR, OTHER_PEER);
    const malformed = push('subtree', '{"Hash":', AUTHOR, AUTHOR);
    await settled(3);
    assert.deepEqual(verdictOf(direct), ['reject']);
    assert.deepEqual(verdictOf(relayed), ['ignore']);
    assert.deepEqual(verdictOf(malformed), ['ignore']);
    assert.deepEqual(offences, [
      [AUTHOR, 'protocol_violation'],
      [AUTHOR, 'protocol_violation'],
    ]);
    assert.equal(await counted('subtree', 'spoofed'), 2);
    assert.equal(await counted('subtree', 'malformed'), 1);
  });

  it('scores an author once for a message that somebody sends again and again', async (context) => {
    const { pipeline, verdicts, offences } = await pipelineOf(context);
    const kind = subtree.id;
    const data = sampleData('subtree', { dataHubUrl: 'ftp://hub.example.org' });
    for (let count = 1; count <= 6; count++) {
      // As after GossipSub has forgotten it: the id is the author's and the sequence number's.
      pipeline.push({ id: 'the same', kind, author: AUTHOR, source: OTHER_PEER, data });
      await waitFor(() => verdicts.length === count);
    }
    assert.deepEqual(offences, [[AUTHOR, 'protocol_violation']]);
  });

  it('ignores subtrees, rejected transactions and statuses of a low author, and takes the rest', async (context) => {
    const { push, verdictOf, low, settled, counted, offences } = await pipelineOf(context);
    low.add(AUTHOR);
    const ignored = ['subtree', 'rejected_tx', 'node_status'].map((kind) =>
      push(kind, '{}', AUTHOR, OTHER_PEER),
    );
    const taken = push('block', sampleData('block', {}, 'direct', AUTHOR), AUTHOR, OTHER_PEER);
    const others = push('subtree', sampleData('subtree', {}, 'direct', OTHER_PEER), OTHER_PEER, AUTHOR);
    await settled(5);
    for (const id of ignored) assert.deepEqual(verdictOf(id), ['ignore']);
    assert.deepEqual(verdictOf(taken), ['accept']);
    assert.deepEqual(verdictOf(others), ['accept'], 'what it only passes on is another’s');
    for (const kind of ['subtree', 'rejected_tx', 'node_status']) {
      assert.equal(await counted(kind, 'low_reputation'), 1, kind);
    }
    assert.deepEqual(offences, []);
  });

  it('takes nothing of an author who was banned while it waited for a checker', async (context) => {
    const { check, banned, counted, offences, verdicts, journal, settled } = await pipelineOf(context);
    const outcast = createSigner();
    const good = createSigner();
    const sign = (by: typeof good, n: number) =>
      check(by.sign(kindOf('subtree'), sighting(numbered(n), by.id), asPeer('relay')));
    const asked = Array.from({ length: 20 }, (_, n) => sign(n % 2 === 0 ? outcast : good, n));
    banned.add(outcast.id);
    await Promise.all(asked);
    await settled(20);
    assert.equal(await counted('subtree', 'banned'), 10);
    assert.deepEqual(new Set(journal().map(({ author }) => author)), new Set([good.id]));
    assert.deepEqual(offences, []);
    assert.deepEqual(new Set(verdicts.map(({ verdict }) => verdict)), new Set(['accept', 'ignore']));
  });

  it('ignores banned authors and oversized messages before any work', async (context) => {
    const { push, verdictOf, banned, journal, counted } = await pipelineOf(context);
    banned.add(AUTHOR);
    const id = push('subtree', sampleData('subtree'));
    const large = push('rejected_tx', 'x'.repeat(100_000), OTHER_PEER);
    assert.deepEqual(verdictOf(id), ['ignore']);
    assert.deepEqual(verdictOf(large), ['ignore']);
    assert.equal(await counted('subtree', 'banned'), 1);
    assert.equal(await counted('rejected_tx', 'oversized'), 1);
    assert.deepEqual(journal(), []);
  });

  it('shows our own messages, without a verdict or a record', async (context) => {
    const { pipeline, journal, verdicts, facts } = await pipelineOf(context);
    const fields = { ...sampleFields('subtree', OWN_PEER), dataHubUrl: 'http://127.0.0.1/' };
    pipeline.pushOwn(subtree as MessageKind<object>, fields);
    await waitFor(() => journal().length === 1, { what: 'our own message at the publisher' });
    await pipeline.drain();
    const [message] = journal();
    assert.equal(message?.own, true);
    assert.equal(message?.outcome, 'ok');
    assert.equal(message?.record, '');
    assert.match(message?.frame ?? '', /"type":"subtree".*"base_url":"http:\/\/127.0.0.1\/"/);
    assert.deepEqual([verdicts, facts], [[], []]);
  });

  it('shows our own messages in the order in which they were told, between those of others', async (context) => {
    const { pipeline, push, settled, journal } = await pipelineOf(context);
    for (let n = 0; n < 200; n++) {
      push('subtree', sampleData('subtree', { hash: numbered(n) }));
      pipeline.pushOwn(subtree as MessageKind<object>, {
        ...sampleFields('subtree', OWN_PEER),
        hash: numbered(n),
      });
      if (n % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await settled(200);
    await waitFor(() => journal().length === 400, { what: 'all of them at the publisher' });
    for (const own of [true, false]) {
      const seen = journal()
        .filter((message) => message.own === own)
        .map(({ frame }) => Number.parseInt(JSON.parse(frame).hash, 16));
      assert.deepEqual(
        seen,
        Array.from({ length: 200 }, (_, n) => n),
      );
    }
  });

  it('hands on what peers say of themselves', async (context) => {
    const { push, settled, facts } = await pipelineOf(context);
    push('node_status', sampleData('node_status'));
    push('bestblock', sampleData('bestblock'));
    await settled(2);
    assert.deepEqual(
      facts.map(({ type, peer }) => [type, peer]),
      [
        ['node_status', AUTHOR],
        ['best_block_requested', AUTHOR],
      ],
    );
  });

  it('loses only the poisonous message of a batch, and keeps the order', async (context) => {
    const { push, settled, verdictOf, journal, counted, offences } = await pipelineOf(context);
    const pushed: string[] = [];
    for (let n = 0; n < 30; n++) {
      if (n === 11 || n === 23) pushed.push(push('trap', '{"spring":"exit"}'));
      else pushed.push(push('subtree', sampleData('subtree', { hash: numbered(n) })));
    }
    await settled(30);
    assert.deepEqual(
      pushed.flatMap(verdictOf),
      pushed.map((_, n) => (n === 11 || n === 23 ? 'ignore' : 'accept')),
    );
    assert.equal(await counted('trap', 'poisonous'), 2);
    const seen = journal()
      .filter(({ frame }) => frame !== '')
      .map(({ frame }) => Number.parseInt(JSON.parse(frame).hash, 16));
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    assert.deepEqual(offences, []);
  });

  it('gives a new publisher what the dead one had not answered, in order, as a retry', async (context) => {
    const { pipeline, push, settled, batches, journalPath, verdicts } = await pipelineOf(context);
    writeFileSync(`${journalPath}.die`, '');
    for (let n = 0; n < 1500; n++) push('subtree', sampleData('subtree', { hash: numbered(n) }));
    await settled(1500);
    assert.equal(verdicts.length, 1500);
    assert.ok(verdicts.every(({ verdict }) => verdict === 'accept'));
    assert.equal(batches()[0]?.retry, false, 'the one that it died of');
    assert.equal(batches()[1]?.retry, true);
    assert.deepEqual(batches()[1]?.messages, batches()[0]?.messages);
    const seen = batches()
      .slice(1)
      .flatMap(({ messages }) => messages)
      .map(({ frame }) => Number.parseInt(JSON.parse(frame).hash, 16));
    assert.deepEqual(
      seen,
      Array.from({ length: 1500 }, (_, n) => n),
    );
    assert.equal(pipeline.failed, undefined);
  });

  it('replaces a publisher that dies idle', async (context) => {
    const { pipeline, push, settled, journalPath } = await pipelineOf(context);
    writeFileSync(`${journalPath}.die`, '');
    push('subtree', sampleData('subtree'));
    await settled(1);
    assert.equal(await pipeline.publisher.ask('level', { level: 'info' }), null);
  });

  it('says that a publisher cannot respawn, and goes on when it can again', async (context) => {
    const { pipeline, push, settled, journalPath, verdicts } = await pipelineOf(context);
    writeFileSync(`${journalPath}.broken`, '');
    writeFileSync(`${journalPath}.die`, '');
    push('subtree', sampleData('subtree'));
    await waitFor(() => pipeline.failed, { what: 'the pipeline to say so', timeoutMs: 30_000 });
    assert.match(pipeline.failed ?? '', /publisher does not respawn/);
    assert.equal(verdicts.length, 0);
    rmSync(`${journalPath}.broken`);
    await settled(1);
    assert.equal(verdicts[0]?.verdict, 'accept');
    assert.equal(pipeline.failed, undefined);
  });

  it('sheds within its bound, and says loudly when that costs blocks', async (context) => {
    const { pipeline, push, log, verdicts, counted, settled } = await pipelineOf(
      context,
      { p2p_queue_bytes: 1_048_576 },
      { start: false },
    );
    const status = sampleData('node_status');
    for (let n = 0; n < 2000; n++) push('node_status', status);
    assert.ok(verdicts.length > 500);
    assert.equal(log.lines.filter(({ level }) => level === 50).length, 0);
    for (let n = 0; n < 2000; n++) push('block', sampleData('block'));
    assert.ok(
      log.lines.some(({ level, msg }) => level === 50 && /blocks or subtrees are shed/.test(String(msg))),
    );
    await pipeline.start();
    await settled(4000);
    assert.equal(verdicts.length, 4000);
    assert.equal((await counted('node_status', 'shed')) + (await counted('node_status', 'ok')), 2000);
    assert.ok((await counted('block', 'ok')) > 500);
  });

  it('has two batches in flight a checker at the most', async (context) => {
    const { pipeline, push, verdicts, gauge } = await pipelineOf(context, {}, { start: false });
    for (let n = 0; n < 4000; n++) push('subtree', sampleData('subtree', { hash: numbered(n) }));
    await pipeline.start();
    let most = 0;
    let waiting = 0;
    const deadline = performance.now() + 60_000;
    while (verdicts.length < 4000) {
      assert.ok(performance.now() < deadline, `${verdicts.length} verdicts`);
      const inFlight = await gauge('teranode_p2p_pipeline_batches_in_flight');
      if (inFlight >= most) waiting = Math.max(waiting, await gauge('teranode_p2p_pipeline_queued_messages'));
      most = Math.max(most, inFlight);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(most, 6);
    assert.ok(waiting > 0, 'the rest waits with main');
    await waitFor(async () => (await gauge('teranode_p2p_pipeline_batches_in_flight')) === 0);
  });

  it('collects nothing more while the publisher has enough, and loses nothing of it', async (context) => {
    const { pipeline, push, settled, gauge, journalPath, verdicts } = await pipelineOf(context);
    writeFileSync(`${journalPath}.broken`, '');
    writeFileSync(`${journalPath}.die`, '');
    const large = sampleData('subtree', { dataHubUrl: `http://hub.example.org/${'x'.repeat(2000)}` });
    for (let n = 0; n < 3000; n++) push('subtree', large);
    const waiting = () => gauge('teranode_p2p_pipeline_queued_messages');
    let still = 0;
    let last = -1;
    await waitFor(
      async () => {
        const now = await waiting();
        still =
          now > 0 && now === last && (await gauge('teranode_p2p_pipeline_batches_in_flight')) === 0
            ? still + 1
            : 0;
        last = now;
        return still >= 5;
      },
      { what: 'what is left to wait', timeoutMs: 30_000 },
    );
    const bytes = await gauge('teranode_p2p_pipeline_publishing_bytes');
    assert.ok(bytes >= 4 * 1_048_576 && bytes < 24 * 1_048_576, `${bytes} bytes with the publisher`);
    assert.equal(verdicts.length, 0);
    rmSync(`${journalPath}.broken`);
    await settled(3000);
    assert.ok(verdicts.every(({ verdict }) => verdict === 'accept'));
    await pipeline.drain(60_000);
    assert.equal(await gauge('teranode_p2p_pipeline_publishing_bytes'), 0);
  });

  it('drains: what it has taken gets its verdict, what comes later is shed', async (context) => {
    const { pipeline, push, verdicts, verdictOf } = await pipelineOf(context);
    for (let n = 0; n < 300; n++) push('subtree', sampleData('subtree'));
    const drained = pipeline.drain(60_000);
    const late = push('subtree', sampleData('subtree'));
    assert.deepEqual(verdictOf(late), ['ignore']);
    await drained;
    assert.equal(verdicts.filter(({ verdict }) => verdict === 'accept').length, 300);
    assert.equal(pipeline.busy, false);
  });

  it('gives up draining when the publisher does not come back, and ends', async (context) => {
    const { pipeline, push, journalPath, verdicts, log } = await pipelineOf(context);
    writeFileSync(`${journalPath}.broken`, '');
    writeFileSync(`${journalPath}.die`, '');
    push('subtree', sampleData('subtree'));
    await pipeline.drain(300);
    assert.equal(pipeline.busy, true);
    assert.ok(log.lines.some(({ msg }) => msg === 'messages are left without a verdict'));
    await pipeline.stop();
    await waitFor(() => !pipeline.busy, { what: 'nothing in flight' });
    assert.equal(verdicts[0]?.verdict, 'ignore');
  });

  it('gives every message its verdict although a listener throws', async (context) => {
    const { pipeline, push, settled, facts, verdicts } = await pipelineOf(context);
    facts.push = () => {
      throw new Error('nobody listens');
    };
    for (let n = 0; n < 5; n++) push('node_status', sampleData('node_status'));
    await settled(5);
    await pipeline.drain();
    assert.equal(verdicts.length, 5);
  });

  it('does not start, and leaves nothing running, when the publisher cannot', async (context) => {
    const { pipeline, journalPath } = await pipelineOf(context, {}, { start: false });
    writeFileSync(`${journalPath}.broken`, '');
    await assert.rejects(pipeline.start());
    assert.equal(pipeline.checkers.threads, 0);
  });
});
