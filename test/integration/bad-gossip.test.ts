/**
 * What strangers can put on the topics, put in at the socket of a whole server. Bad messages become a figure in the scrape and
 * nothing else: no record, no frame, no forwarding, no harm to the honest peer that relays them.
 */

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { genesisHeader } from '../../src/main/chain/genesis.js';
import { headerHash } from '../../src/shared/bitcoin/header.js';
import { PeerServiceClient } from '../../src/shared/grpc/peer-service-client.js';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import type { MessageKind } from '../../src/shared/messages/kind.js';
import type { WireField } from '../../src/shared/messages/wire-fields.js';
import { BlockchainService } from '../support/blockchain-service.js';
import { createStranger, joinPeer, outcomesOf, outcomesSince, sumOf, topicOf } from '../support/gossip.js';
import { minedHeader } from '../support/headers.js';
import type { Peer, RawMessage } from '../support/peer.js';
import { GENESIS_HEADER, mineHeader, OTHER_PEER, sampleData } from '../support/sample-messages.js';
import {
  type Feed,
  openFeed,
  recordsOf,
  serverSettings,
  startServer,
  type TestServer,
} from '../support/server.js';
import { waitFor } from '../support/wait.js';

const kindOf = (name: string): MessageKind => {
  const kind = MESSAGE_KINDS.find((each) => each.name === name);
  if (kind === undefined) throw new Error(`no kind ${name}`);
  return kind;
};
/** Kinds with fields: what is in the others does not matter. */
const KINDS = MESSAGE_KINDS.filter(({ wire }) => wire.length > 0);
const TOPICS = (server: TestServer) => MESSAGE_KINDS.map((kind) => topicOf(server, kind));

interface Site {
  readonly server: TestServer;
  /** Honest: sends on what strangers sign. */
  readonly relay: Peer;
  /** Honest: in the server's mesh, hears what it forwards. */
  readonly neighbour: Peer;
  readonly feed: Feed;
  readonly blocks: { readonly records: readonly unknown[] };
  readonly subtrees: { readonly records: readonly unknown[] };
}

/** Main network, private data hubs refused: the strictest there is. */
async function openSite(context: TestContext, changes = {}): Promise<Site> {
  const server = await startServer(
    context,
    serverSettings(context, {
      network: 'mainnet',
      p2p_allow_private_ips: false,
      asset_httpAddress: 'https://here.example.org/api/v1',
      // GossipSub forwards nothing whose verdict takes more than five heartbeats.
      p2p_heartbeat_interval: 4_000,
      // Its own status would be counted among the messages.
      p2p_node_status_interval: 3_600_000,
      ...changes,
    }),
  );
  const topics = TOPICS(server);
  const [relay, neighbour] = await Promise.all([
    joinPeer(context, server, { topics }),
    joinPeer(context, server, { topics, localAddress: '127.0.0.3' }),
  ]);
  const feed = await openFeed(context, server.server);
  await feed.next(({ type }) => type === 'node_status', 'its own status');
  const [blocks, subtrees] = await Promise.all([
    recordsOf(context, server, 'kafka_blocksConfig'),
    recordsOf(context, server, 'kafka_subtreesConfig'),
  ]);
  return { server, relay, neighbour, feed, blocks, subtrees };
}

/** Each by a stranger of its own, sent on by the relay; resolves when every one has its outcome. */
async function relayed(
  { server, relay }: Site,
  kind: MessageKind,
  bodies: readonly ((author: string) => Uint8Array | string)[],
): Promise<{ readonly outcomes: Record<string, number>; readonly authors: readonly string[] }> {
  const before = await outcomesOf(server);
  const strangers = await Promise.all(bodies.map(() => createStranger()));
  const messages: RawMessage[] = await Promise.all(
    strangers.map(({ id, sign }, index) => sign(topicOf(server, kind), bodies[index]?.(id) ?? '')),
  );
  relay.send(server.server.peerId, messages);
  const outcomes = await waitFor(
    async () => {
      const since = await outcomesSince(server, before, kind.name);
      return Object.values(since).reduce((sum, count) => sum + count, 0) >= bodies.length ? since : undefined;
    },
    { what: `${bodies.length} outcomes of ${kind.name}`, everyMs: 5 },
  );
  return { outcomes, authors: strangers.map(({ id }) => id) };
}

/** Nothing of `authors` went anywhere, and the relay is as welcome as before. */
async function assertUnseen({ server, relay, neighbour, feed, ...site }: Site, authors: ReadonlySet<string>) {
  const told = feed.frames.filter(({ peer_id }) => authors.has(String(peer_id)));
  assert.deepEqual(told, [], 'WebSocket frames');
  assert.deepEqual(
    neighbour.heard.filter(({ author }) => authors.has(author)),
    [],
    'messages forwarded',
  );
  for (const { records } of [site.blocks, site.subtrees]) assert.equal(records.length, 0, 'records');
  const known = server.server.parts.registry.known.list().filter(({ id }) => authors.has(id));
  assert.deepEqual(known, [], 'facts learnt');
  const peer = server.server.parts.node.peers().find(({ id }) => id === relay.id);
  assert.ok(peer !== undefined, 'the relay is connected');
  assert.ok(peer.score >= 0, `the relay's score is ${peer.score}`);
}

/** What JSON has besides the right type, and what the right type does not hold. */
function wrongValues({ type }: WireField): string[] {
  switch (type) {
    case 'text':
      return ['5', 'true', '[]', '{}', '18446744073709551616', '["a"]'];
    case 'uint32':
      return ['"5"', '-1', '1.5', '4294967296', 'true', '[]', '{}', '1e400', '18446744073709551616'];
    case 'uint64':
      return ['"5"', '-1', '1.5', '18446744073709551616', 'true', '[]', '{}', '1e30', `1${'0'.repeat(500)}`];
    case 'int64':
      return ['"5"', '9223372036854775808', '-9223372036854775809', '1.5', 'true', '[]', '{}'];
    case 'float':
    case 'optional float':
      return ['"5"', 'true', '[]', '{}', '1e400'];
    case 'object':
    case 'optional object':
      return ['"5"', '5', 'true', '[]'];
    case 'bytes':
      return ['5', 'true', '{}', '"&&&&"'];
  }
}

/** A good message of `kind` in which one field's JSON is `json`. */
function withRaw(kind: MessageKind, { direct, bus }: WireField, json: string, enveloped: boolean) {
  return (author: string): Uint8Array | string => {
    const text = Buffer.from(sampleData(kind.name, { peerId: author }, 'direct', author)).toString();
    const fields = JSON.parse(text) as Record<string, unknown>;
    delete fields[direct];
    const inner = `${JSON.stringify(fields).slice(0, -1)},"${enveloped ? bus : direct}":${json}}`;
    return enveloped ? `{"name":"x","data":"${Buffer.from(inner).toString('base64')}"}` : inner;
  };
}

const nested = (depth: number, open: string, close: string) => open.repeat(depth) + close.repeat(depth);
const enveloped = (inner: Uint8Array | string) =>
  JSON.stringify({ name: 'x', data: Buffer.from(inner).toString('base64') });
const good =
  (kind: string, changes: object = {}) =>
  (author: string) =>
    sampleData(kind, { peerId: author, ...changes }, 'message-bus', author);
const goodText = (kind: string, author: string) =>
  Buffer.from(sampleData(kind, { peerId: author }, 'direct', author)).toString();

test('bad messages that an honest peer relays', async (context) => {
  const site = await openSite(context);
  const { server, relay, neighbour, feed } = site;
  const authors = new Set<string>();
  const outcomeOf = async (kind: string, body: (author: string) => Uint8Array | string) => {
    const seen = await relayed(site, kindOf(kind), [body]);
    for (const author of seen.authors) authors.add(author);
    return Object.keys(seen.outcomes).join();
  };

  await context.test('the wrong type in every field of every kind, in both framings', async () => {
    for (const kind of KINDS) {
      for (const field of kind.wire) {
        for (const envelope of [false, true]) {
          const bodies = wrongValues(field).map((json) => withRaw(kind, field, json, envelope));
          const seen = await relayed(site, kind, bodies);
          for (const author of seen.authors) authors.add(author);
          const what = `${kind.name} ${field.name} ${envelope ? 'enveloped' : 'direct'}`;
          assert.deepEqual(seen.outcomes, { [`${kind.name} malformed`]: bodies.length }, what);
        }
      }
    }
  });

  await context.test('JSON cut short anywhere, in both framings', async () => {
    for (const kind of KINDS) {
      const cuts = (author: string) => goodText(kind.name, author).length;
      const lengths = [0.1, 0.3, 0.5, 0.7, 0.9].map((share) => (author: string) => {
        const text = goodText(kind.name, author);
        return text.slice(0, Math.max(1, Math.floor(cuts(author) * share)));
      });
      const bodies = [
        ...lengths,
        (author: string) => goodText(kind.name, author).slice(0, -1),
        ...lengths.map((cut) => (author: string) => enveloped(cut(author))),
        (author: string) => enveloped(goodText(kind.name, author)).slice(0, -2),
      ];
      const seen = await relayed(site, kind, bodies);
      for (const author of seen.authors) authors.add(author);
      assert.deepEqual(seen.outcomes, { [`${kind.name} malformed`]: bodies.length }, kind.name);
    }
  });

  await context.test('too large, outside and inside the envelope', async () => {
    for (const kind of KINDS) {
      const filled = (author: string, size: number) => {
        const text = goodText(kind.name, author);
        return `${text.slice(0, -1)},"Filling":"${'x'.repeat(size - text.length - 13)}"}`;
      };
      const bodies = [
        (author: string) => filled(author, kind.sizeBound + 1),
        (author: string) => enveloped(filled(author, kind.sizeBound + 1)),
        () => 'x'.repeat(900_000),
        () => `{"name":"${'x'.repeat(kind.sizeBound * 2)}","data":"e30="}`,
      ];
      const seen = await relayed(site, kind, bodies);
      for (const author of seen.authors) authors.add(author);
      assert.deepEqual(seen.outcomes, { [`${kind.name} oversized`]: bodies.length }, kind.name);
    }
  });

  await context.test('nested deeply, not UTF-8, not framed as anything known', async () => {
    const cases: [string, string, (author: string) => Uint8Array | string][] = [
      ['block malformed', 'block', () => `{"Hash":${nested(16_000, '[', ']')}}`],
      ['block malformed', 'block', () => enveloped(`{"Hash":${nested(5_000, '{"a":', '}')}}`)],
      ['block malformed', 'block', () => `{"data":${nested(10_000, '[', ']')}}`],
      ['block malformed', 'block', () => `{"a":${nested(16_000, '[', '')}`],
      [
        'subtree bad_field',
        'subtree',
        () =>
          Buffer.concat([Buffer.from('{"Hash":"'), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), Buffer.from('"}')]),
      ],
      [
        'subtree bad_field',
        'subtree',
        () =>
          enveloped(
            Buffer.concat([Buffer.from('{"Hash":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
          ),
      ],
      ['subtree malformed', 'subtree', () => Buffer.from('{"Hash"\u00ff:""}', 'latin1')],
      ['subtree malformed', 'subtree', () => '{"name":"x","data":5}'],
      ['subtree malformed', 'subtree', () => '{"name":"x","data":"not base64!"}'],
      ['subtree malformed', 'subtree', () => '{"name":"x","data":"e30"}'],
      ['subtree unknown_framing', 'subtree', () => ''],
      ['subtree unknown_framing', 'subtree', () => '[]'],
      ['subtree unknown_framing', 'subtree', () => 'null'],
      ['subtree unknown_framing', 'subtree', () => Buffer.from('0a0b0c0d00ff', 'hex')],
      ['subtree unknown_framing', 'subtree', () => '{"name":"x","payload":"e30="}'],
      ['subtree unknown_framing', 'subtree', () => enveloped('{}')],
      ['subtree unknown_framing', 'subtree', () => enveloped('"text"')],
      ['subtree unknown_framing', 'subtree', (author) => enveloped(enveloped(goodText('subtree', author)))],
    ];
    for (const [expected, kind, body] of cases) {
      assert.equal(await outcomeOf(kind, body), expected, String(body));
    }
  });

  await context.test('hashes of 63 and 65 digits, and of no digits', async () => {
    const wrong = [
      'a'.repeat(63),
      'a'.repeat(65),
      'g'.repeat(64),
      '',
      `0x${'a'.repeat(62)}`,
      `${'a'.repeat(63)}\n`,
      '０'.repeat(64),
    ];
    for (const [kind, key] of [
      ['block', 'hash'],
      ['subtree', 'hash'],
      ['mining_on', 'hash'],
      ['rejected_tx', 'txId'],
    ] as const) {
      for (const hash of wrong) {
        assert.equal(
          await outcomeOf(kind, good(kind, { [key]: hash })),
          `${kind} bad_field`,
          `${kind} ${hash}`,
        );
      }
    }
    for (const [kind, key] of [
      ['mining_on', 'previousHash'],
      ['node_status', 'bestBlockHash'],
      ['node_status', 'syncPeerBlockHash'],
    ] as const) {
      for (const hash of ['a'.repeat(63), 'a'.repeat(65)]) {
        assert.equal(
          await outcomeOf(kind, good(kind, { [key]: hash })),
          `${kind} bad_field`,
          `${kind} ${key}`,
        );
      }
    }
  });

  await context.test('headers with bad work, too easy a target, another hash, odd lengths', async () => {
    const easy = mineHeader(0x207fffff);
    const missed = mineHeader(0x1d00ffff, false);
    const overflowing = mineHeader(0x217fffff, false);
    const negative = mineHeader(0x1d80ffff, false);
    const zero = mineHeader(0, false);
    for (const { hash, header } of [easy, missed, overflowing, negative, zero]) {
      assert.equal(await outcomeOf('block', good('block', { hash, header })), 'block bad_header', header);
    }
    const other = `${GENESIS_HEADER.slice(0, -2)}7d`;
    assert.equal(await outcomeOf('block', good('block', { header: other })), 'block bad_header');
    assert.equal(await outcomeOf('block', good('block', { hash: 'a'.repeat(64) })), 'block bad_header');
    for (const header of [
      GENESIS_HEADER.slice(2),
      `${GENESIS_HEADER}00`,
      GENESIS_HEADER.slice(1),
      'zz'.repeat(80),
    ]) {
      assert.equal(await outcomeOf('block', good('block', { header })), 'block bad_field', header);
    }
  });

  await context.test('somebody else’s peer ID, none, and impossible ones', async () => {
    for (const { name } of KINDS) {
      assert.equal(await outcomeOf(name, good(name, { peerId: OTHER_PEER })), `${name} spoofed`);
      assert.equal(await outcomeOf(name, good(name, { peerId: server.server.peerId })), `${name} spoofed`);
      assert.equal(await outcomeOf(name, good(name, { peerId: '' })), `${name} spoofed`);
      assert.equal(await outcomeOf(name, good(name, { peerId: 'x'.repeat(129) })), `${name} bad_field`);
      assert.equal(
        await outcomeOf(name, (author) => good(name, { peerId: `${author}\u202e` })(author)),
        `${name} bad_field`,
      );
      // Two keys that fold to one: the last counts, as in Go.
      assert.equal(
        await outcomeOf(
          name,
          (author) =>
            `${goodText(name, author).slice(0, -1)},"peerid":"${OTHER_PEER}","peer_id":"${OTHER_PEER}"}`,
        ),
        `${name} spoofed`,
      );
    }
  });

  await context.test('data hubs that nobody can reach, carry credentials or are no URL', async () => {
    const unusable = [
      '',
      'http://127.0.0.1:8090/',
      'http://localhost/',
      'http://LOCALHOST./',
      'http://10.1.2.3/',
      'http://192.168.0.1/',
      'http://172.16.5.4/',
      'http://169.254.169.254/latest/meta-data',
      'http://100.64.0.1/',
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[fe80::1]/',
      'http://[fd00::1]/',
      'http://0/',
      'http://2130706433/',
      'http://0x7f.1/',
      'http://127.1/',
    ];
    const bad = [
      'https://user:secret@hub.example.org/',
      'https://user@hub.example.org/',
      'https://@hub.example.org/',
      'ftp://hub.example.org/',
      'file:///etc/passwd',
      'javascript:alert(1)',
      'hub.example.org',
      'http:///path',
      'http://',
      'https://hub.example.org\\@evil.example.org/',
      'https://hub .example.org/',
    ];
    const unprintable = [
      'https://hub.example.org/\r\nX: y',
      'https://hub.example.org/\u202egnp',
      'https://hub.example.org/\u00a0a',
      'https://hub.example.org/\u2028a',
      `https://hub.example.org/${'a'.repeat(2049)}`,
    ];
    for (const kind of ['block', 'subtree']) {
      for (const dataHubUrl of unusable) {
        assert.equal(await outcomeOf(kind, good(kind, { dataHubUrl })), `${kind} unusable_hub`, dataHubUrl);
      }
      for (const dataHubUrl of bad) {
        assert.equal(await outcomeOf(kind, good(kind, { dataHubUrl })), `${kind} bad_url`, dataHubUrl);
      }
      for (const dataHubUrl of unprintable) {
        assert.equal(await outcomeOf(kind, good(kind, { dataHubUrl })), `${kind} bad_field`, dataHubUrl);
      }
    }
  });

  await context.test('nothing of all that was seen anywhere, and good messages still are', async () => {
    assert.ok(authors.size > 500, `${authors.size} strangers`);
    const last = await createStranger();
    const topics = TOPICS(server);
    const sent = KINDS.map(({ name }, index) => ({ name, topic: topics[index] ?? '' }));
    relay.send(
      server.server.peerId,
      await Promise.all(sent.map(({ name, topic }) => last.sign(topic, good(name)(last.id)))),
    );
    await waitFor(() => neighbour.heard.filter(({ author }) => author === last.id).length === sent.length, {
      what: 'a good message of each kind at the neighbour',
    });
    for (const type of ['block', 'subtree', 'mining_on', 'rejected_tx', 'node_status']) {
      await feed.next((frame) => frame.type === type && frame.peer_id === last.id, `a good ${type}`);
    }
    await waitFor(() => site.blocks.records.length === 1 && site.subtrees.records.length === 1, {
      what: 'their records',
    });
    const scrape = await server.server.scrape();
    const refused = [
      'malformed',
      'oversized',
      'unknown_framing',
      'bad_field',
      'unusable_hub',
      'bad_url',
      'bad_header',
      'spoofed',
    ];
    const counted = refused.map((outcome) => sumOf(scrape, 'teranode_p2p_messages_total', { outcome }));
    assert.equal(
      counted.reduce((sum, count) => sum + count, 0),
      authors.size,
      'each is counted once',
    );
    assert.equal(sumOf(scrape, 'teranode_p2p_pipeline_worker_deaths_total'), 0, 'no thread died of them');
    assert.equal(sumOf(scrape, 'teranode_p2p_messages_total', { outcome: 'poisonous' }), 0);
    await assertUnseen({ ...site, blocks: { records: [] }, subtrees: { records: [] } }, authors);
    assert.equal(site.blocks.records.length + site.subtrees.records.length, 2);
  });
});

test('a header wildly easier than our tip’s is refused, one near it is taken', async (context) => {
  const service = new BlockchainService();
  await service.start();
  context.after(() => service.stop());
  const tipBits = 0x2000ffff;
  service.add(minedHeader(headerHash(genesisHeader('stn')), 0, tipBits), { height: 1 });
  const site = await openSite(context, { network: 'stn', blockchain_grpcAddress: service.address });
  await waitFor(() => site.server.server.parts.chain.best?.height === 1, { what: 'the tip' });
  const wildly = mineHeader(0x207fffff);
  const near = mineHeader(0x2007ffff);
  const block = kindOf('block');
  const refused = await relayed(site, block, [good('block', wildly)]);
  assert.deepEqual(refused.outcomes, { 'block bad_header': 1 });
  const taken = await relayed(site, block, [good('block', near)]);
  assert.deepEqual(taken.outcomes, { 'block ok': 1 });
  await site.feed.next(({ hash }) => hash === near.hash, 'the block');
  await waitFor(() => site.blocks.records.length === 1, { what: 'its record' });
  assert.ok(site.feed.frames.every(({ hash }) => hash !== wildly.hash));
});

const CONTROL_OR_BIDI = /[\p{Cc}\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]|<script/u;
/** Every text in a log line, stacks aside. */
const textsOf = (value: unknown, key = ''): string[] =>
  typeof value === 'string'
    ? key === 'stack'
      ? []
      : [value]
    : Object.entries(value ?? {}).flatMap(([name, member]) => [name, ...textsOf(member, name)]);
const NASTY =
  'evil\n{"level":60,"msg":"fake"}\r\n\u001b[2J\u202egnp.exe\u2066\u0000<script>alert(1)</script>\u2028`\'"&\ufeff';

test('text that attacks terminals, pages, logs and eyes is shown without its teeth', async (context) => {
  const server = await startServer(context, serverSettings(context));
  const feed = await openFeed(context, server.server);
  const topics = TOPICS(server);
  const author = await joinPeer(context, server, { topics, agent: `agent ${NASTY}` });
  const { peerId } = server.server;
  const send = async (kind: string, changes: object) =>
    author.send(peerId, [await author.sign(topicOf(server, kindOf(kind)), good(kind, changes)(author.id))]);
  await send('node_status', {
    clientName: NASTY,
    minerName: NASTY,
    version: NASTY,
    commitHash: NASTY,
    fsmState: NASTY,
    listenMode: NASTY,
    storage: NASTY,
    chainWork: NASTY,
  });
  await send('block', { clientName: NASTY });
  await send('subtree', { clientName: NASTY });
  await send('mining_on', { miner: NASTY });
  await send('rejected_tx', { reason: NASTY.repeat(40), clientName: NASTY });
  for (const type of ['node_status', 'block', 'subtree', 'mining_on', 'rejected_tx']) {
    await feed.next((frame) => frame.type === type && frame.peer_id === author.id, type);
  }
  for (const frame of feed.frames.filter(({ peer_id }) => peer_id === author.id)) {
    for (const [key, value] of Object.entries(frame)) {
      assert.doesNotMatch(String(value), CONTROL_OR_BIDI, `${frame.type} ${key}`);
      assert.doesNotMatch(String(value), /["'`&]/, `${frame.type} ${key}`);
      if (key === 'reason') assert.ok(String(value).length <= 1024);
    }
  }
  const name = feed.frames.find(
    ({ type, peer_id }) => type === 'block' && peer_id === author.id,
  )?.client_name;
  assert.match(String(name), /^evil/, 'what is harmless of it is kept');

  const client = new PeerServiceClient(`127.0.0.1:${server.server.ports.grpc}`);
  context.after(() => client.close());
  const peer = await waitFor(async () => (await client.getPeers()).find(({ subVer }) => subVer !== ''), {
    what: 'the agent over gRPC',
  });
  assert.match(peer.subVer, /^agent evil/);
  assert.doesNotMatch(peer.subVer, CONTROL_OR_BIDI);
  assert.ok(peer.subVer.length <= 256);

  const status = await waitFor(
    async () => {
      const response = await fetch(`http://127.0.0.1:${server.server.ports.http}/api/status`);
      const text = await response.text();
      return text.includes('evil') ? text : undefined;
    },
    { what: 'the name in the status' },
  );
  assert.doesNotMatch(status, CONTROL_OR_BIDI);
  const scrape = await server.server.scrape();
  assert.doesNotMatch(scrape, /evil/);
  assert.doesNotMatch(scrape.replaceAll('\n', ''), CONTROL_OR_BIDI);
  // A pretty printer writes these as they are.
  const said = server.log.lines.flatMap((line) => textsOf(line));
  assert.deepEqual(
    said.filter((text) => CONTROL_OR_BIDI.test(text)),
    [],
  );
});

test('numbers above 2^53 reach the WebSocket unrounded, beside their neighbours', async (context) => {
  const site = await openSite(context);
  const { server, relay, feed } = site;
  const numbers = [2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 64n - 1n];
  const sent = await Promise.all(
    numbers.map(async (number) => {
      const { id, sign } = await createStranger();
      const body = good('mining_on', { sizeInBytes: number, txCount: number })(id);
      return { id, number, message: await sign(topicOf(server, kindOf('mining_on')), body) };
    }),
  );
  relay.send(
    server.server.peerId,
    sent.map(({ message }) => message),
  );
  for (const { id, number } of sent) {
    await feed.next(({ peer_id }) => peer_id === id, `the frame with ${number}`);
    const text = feed.texts.find((each) => each.includes(id)) ?? '';
    assert.ok(text.includes(`"size_in_bytes":${number},`), text);
    assert.ok(text.includes(`"tx_count":${number},`), text);
  }
  const { id, sign } = await createStranger();
  const height = good('block', { height: 4_294_967_295, header: '' })(id);
  relay.send(server.server.peerId, [await sign(topicOf(server, kindOf('block')), height)]);
  const frame = await feed.next(({ peer_id }) => peer_id === id, 'the highest block');
  assert.equal(frame.height, 4_294_967_295);
  const known = await waitFor(() => server.server.parts.registry.known.get(id), {
    what: 'what is known of it',
  });
  assert.ok(known.height <= 10_000, `${known.height} is kept of what it says`);
});

test('a replay after GossipSub forgot the message is a repeat, not a second record', async (context) => {
  const site = await openSite(context);
  const { server, relay, neighbour, feed } = site;
  const topic = topicOf(server, kindOf('subtree'));
  const { id, sign } = await createStranger();
  const body = good('subtree')(id);
  const first = await sign(topic, body);
  relay.send(server.server.peerId, [first]);
  await waitFor(() => site.subtrees.records.length === 1, { what: 'its record' });
  await waitFor(() => neighbour.heard.some(({ author }) => author === id), { what: 'it at the neighbour' });

  // While GossipSub remembers, it is not even looked at.
  relay.send(server.server.peerId, [first, first]);
  // What two minutes do, now.
  const gossip = server.server.parts.node.inspect().host?.services.pubsub as unknown as Record<
    'seenCache' | 'fastMsgIdCache',
    { clear(): void }
  >;
  const before = await outcomesOf(server);
  gossip.seenCache.clear();
  gossip.fastMsgIdCache.clear();
  const again = await sign(topic, body);
  const other = await sign(topic, Buffer.from(body.toString().replace('"name":"one"', '"name":"two"')));
  relay.send(server.server.peerId, [first, again, other]);
  const since = await waitFor(
    async () => {
      const outcomes = await outcomesSince(server, before, 'subtree');
      return outcomes['subtree repeat'] === 3 ? outcomes : undefined;
    },
    { what: 'three repeats' },
  );
  assert.deepEqual(since, { 'subtree repeat': 3 });
  assert.ok(
    sumOf(await server.server.scrape(), 'teranode_p2p_messages_total', {
      kind: 'subtree',
      outcome: 'repeat',
    }) === 3,
  );
  // What comes after it has come: nothing of the repeats came before.
  const marker = await createStranger();
  relay.send(server.server.peerId, [
    await marker.sign(topic, good('subtree', { hash: '1'.repeat(64) })(marker.id)),
  ]);
  await feed.next(({ peer_id }) => peer_id === marker.id, 'the marker');
  await waitFor(() => neighbour.heard.some(({ author }) => author === marker.id), {
    what: 'the marker forwarded',
  });
  await waitFor(() => site.subtrees.records.length === 2, { what: 'the marker’s record' });
  assert.equal(feed.frames.filter(({ peer_id }) => peer_id === id).length, 1);
  assert.equal(neighbour.heard.filter(({ author }) => author === id).length, 1);
  assert.ok(server.server.parts.node.peers().every(({ score }) => score >= 0));
});

test('another network’s topics, made-up topics and bytes that are no gossip at all', async (context) => {
  const site = await openSite(context);
  const { server, relay, neighbour, feed } = site;
  const foreign = [
    'teranode/bitcoin/1.0.0/testnet-block',
    'teranode/bitcoin/1.0.0/regtest-subtree',
    'block',
    'teranode/bitcoin/1.0.0/mainnet-',
    `x${'y'.repeat(5000)}`,
    '',
  ];
  // What the server says of itself every 10 s is counted too.
  const heard = (text: string): number =>
    sumOf(text, 'teranode_p2p_messages_total') -
    sumOf(text, 'teranode_p2p_messages_total', { kind: 'node_status' });
  const before = heard(await server.server.scrape());
  for (const topic of foreign) {
    relay.subscribe(topic);
    neighbour.subscribe(topic);
  }
  const { id, sign } = await createStranger();
  const body = good('block', { header: '' })(id);
  relay.send(server.server.peerId, await Promise.all(foreign.map((topic) => sign(topic, body))));

  const vandal = await joinPeer(context, server, { topics: TOPICS(server), localAddress: '127.0.0.4' });
  const streams = (
    vandal.libp2p.services.pubsub as unknown as {
      streamsOutbound: Map<
        string,
        { push(bytes: Uint8Array): void; rawStream: { send(bytes: Uint8Array): void } }
      >;
    }
  ).streamsOutbound;
  const stream = streams.get(server.server.peerId);
  assert.ok(stream !== undefined);
  stream.push(Buffer.from('ffffffffffffffff', 'hex'));
  stream.push(Buffer.alloc(0));
  stream.push(Buffer.from('0a02080112', 'hex'));
  // A length that no message may have, and no end of a varint.
  stream.rawStream.send(Buffer.from('ffffffffffffffffffffffff', 'hex'));

  relay.send(server.server.peerId, [await sign(topicOf(server, kindOf('block')), body)]);
  await feed.next(({ type, peer_id }) => type === 'block' && peer_id === id, 'the block on our own topic');
  await waitFor(() => neighbour.heard.some(({ author }) => author === id), { what: 'the block forwarded' });
  assert.deepEqual(
    neighbour.heard.filter(({ author }) => author === id).map(({ topic }) => topic),
    ['teranode/bitcoin/1.0.0/mainnet-block'],
  );
  await waitFor(() => site.blocks.records.length === 1, { what: 'its record' });
  const scrape = await server.server.scrape();
  assert.equal(heard(scrape) - before, 1, 'nothing else was heard');
  assert.doesNotMatch(scrape, /yyyyyyyy|testnet-block/, 'strangers’ topics are no metric labels');
  assert.ok(server.server.parts.node.peers().some((peer) => peer.id === relay.id && peer.score >= 0));
});
