import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PARAMETERS } from '../../../src/shared/firehose/parameters.js';
import { FeedProblem, type ProblemCode } from '../../../src/shared/firehose/problems.js';
import { parseFeedQuery } from '../../../src/shared/firehose/query.js';
import type { FeedEndpoint } from '../../../src/shared/firehose/request.js';
import { FRAME_KINDS } from '../../../src/shared/messages/index.js';

// Peer IDs of libp2p's own documentation: the key of one peer as base58 and as CIDv1, and another's.
const PEER = 'QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N';
const PEER_AS_CID = 'bafzbeie5745rpv2m6tjyuugywy4d5ewrqgqqhfnf445he3omzpjbx5xqxe';
const OTHER = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA';

const ask = (query: string, endpoint: FeedEndpoint = 'websocket') => parseFeedQuery(query, endpoint);

function refused(
  query: string,
  code: ProblemCode,
  says: RegExp,
  endpoint: FeedEndpoint = 'websocket',
): FeedProblem {
  try {
    parseFeedQuery(query, endpoint);
  } catch (error) {
    assert.ok(error instanceof FeedProblem, String(error));
    assert.equal(error.code, code, error.detail);
    assert.match(error.detail, says);
    return error;
  }
  assert.fail(`${query.slice(0, 80)} is taken`);
}

const idsOf = (...names: string[]): number[] =>
  FRAME_KINDS.filter(({ name }) => names.includes(name)).map(({ id }) => id);

describe('the query of the feed', () => {
  it('asks for nothing but what there is where it is empty', () => {
    const nothing = {
      strict: false,
      meta: false,
      gzip: false,
      oneEvent: false,
      limit: 100,
      descending: false,
    };
    assert.deepEqual(ask(''), nothing);
    assert.deepEqual(ask('', 'sse'), { ...nothing, meta: true });
    assert.deepEqual(ask('', 'events'), { ...nothing, meta: true });
  });

  it('takes the example of every parameter, where it is one, and knows it nowhere else', () => {
    const withOthers: Readonly<Record<string, string>> = { encoding: '&batch=100' };
    for (const { name, example, endpoints } of PARAMETERS) {
      for (const endpoint of ['websocket', 'sse', 'events', 'segments'] as const) {
        const query = `${name}=${encodeURIComponent(example)}${withOthers[name] ?? ''}`;
        if (endpoints.includes(endpoint)) assert.doesNotThrow(() => ask(query, endpoint), query);
        else refused(query, 'unknown_parameter', new RegExp(`^"${name}" is none of `), endpoint);
      }
    }
  });

  it('gives the same request for the same filter, however it is written', () => {
    const { kinds } = ask('kinds=subtree,block');
    assert.deepEqual(kinds, idsOf('block', 'subtree'));
    for (const same of [
      'kinds=block,subtree,block',
      `kinds=${encodeURIComponent('subtree,block')}`,
      '%6Binds=subtree,%62lock',
    ])
      assert.deepEqual(ask(same), ask('kinds=subtree,block'), same);
    const { peers } = ask(`peers=${PEER},${OTHER}`);
    assert.deepEqual(peers, [OTHER, PEER]);
    assert.deepEqual(ask(`peers=${OTHER},${PEER_AS_CID},${PEER}`).peers, peers);
  });

  it('refuses kinds that there are not, and says which there are', () => {
    const names = FRAME_KINDS.map(({ name }) => name);
    for (const query of [
      'kinds=blocks',
      'kinds=Block',
      'kinds=block,',
      'kinds=,',
      'kinds=block,%20subtree',
      'kinds=handshake',
    ]) {
      const problem = refused(query, 'unknown_kind', /^kinds: /);
      assert.deepEqual(problem.extra.kinds, names);
      const body = JSON.parse(problem.body());
      assert.deepEqual(body.kinds, names);
      assert.equal(body.status, 400);
      assert.equal(body.code, 'unknown_kind');
    }
    assert.ok(refused(`kinds=${'x'.repeat(5000)}`, 'unknown_kind', /^kinds: /).detail.length < 300);
  });

  it('refuses a parameter given twice, empty, or in another case', () => {
    for (const { name, example, endpoints } of PARAMETERS) {
      const [endpoint] = endpoints;
      assert.ok(endpoint);
      const pair = `${name}=${encodeURIComponent(example)}`;
      assert.deepEqual(refused(`${pair}&${pair}`, 'bad_parameter', /given twice/, endpoint).extra, {
        parameter: name,
      });
      for (const empty of [`${name}=`, name]) refused(empty, 'bad_parameter', / is empty$/, endpoint);
      refused(`${name.toUpperCase()}=${example}`, 'unknown_parameter', /is none of/, endpoint);
    }
  });

  it('names the parameters there are where one is not', () => {
    const problem = refused('kind=block', 'unknown_parameter', /^"kind" is none of kinds, peers, /);
    assert.deepEqual(
      problem.extra.parameters,
      PARAMETERS.filter(({ endpoints }) => endpoints.includes('websocket')).map(({ name }) => name),
    );
    refused('=block', 'unknown_parameter', /^""/);
    refused('kinds=block&__proto__=1', 'unknown_parameter', /^"__proto__"/);
  });

  it('refuses what is not percent-encoded UTF-8', () => {
    for (const query of ['kinds=%', 'kinds=%zz', 'cursor=%ff', '%=1', 'kinds=block%C3'])
      refused(query, 'bad_parameter', /percent-encoded/);
  });

  it('refuses a query of more than 8 KiB, whatever is in it', () => {
    for (const query of [`cursor=${'1'.repeat(10_240)}`, '&'.repeat(10_240), `x=${'%41'.repeat(4000)}`]) {
      const problem = refused(query, 'query_too_long', /8 KiB/);
      assert.equal(problem.status, 414);
    }
    assert.deepEqual(ask('&'.repeat(8192)), ask(''));
  });

  it('takes a hundred peers and no more', () => {
    const peers = (count: number) => `peers=${new Array(count).fill(OTHER).join(',')}`;
    assert.deepEqual(ask(peers(100)).peers, [OTHER]);
    refused(peers(101), 'bad_parameter', /at most 100/);
  });

  it('refuses what is no peer ID', () => {
    for (const text of ['x', PEER.slice(1), `${PEER}!`, `${PEER},`, 'A'.repeat(300)])
      refused(`peers=${text}`, 'bad_parameter', /^peers: .* is no peer ID$/);
  });

  it('begins at a cursor, the oldest, now or a time, and tells frames apart from then on', () => {
    const start = (query: string) => {
      const request = ask(query);
      assert.equal(request.meta, true);
      return request.start;
    };
    assert.deepEqual(start('cursor=0123456789abcdef.42'), { type: 'cursor', text: '0123456789abcdef.42' });
    assert.deepEqual(start('cursor=oldest'), { type: 'oldest' });
    assert.deepEqual(start('cursor=now'), { type: 'now' });
    const ms = Date.UTC(2026, 10, 30, 1, 2, 3, 456);
    for (const text of [
      '2026-11-30T01:02:03.456Z',
      '2026-11-30t01:02:03.456z',
      '2026-11-30T02:02:03.456+01:00',
      '2026-11-30T02:02:03.456%2B01:00',
      '2026-11-29T20:32:03.456789-04:30',
      String(ms),
    ])
      assert.deepEqual(start(`since=${text}`), { type: 'since', ms }, text);
    assert.deepEqual(start('since=0'), { type: 'since', ms: 0 });
    assert.deepEqual(start('since=2024-02-29T00:00:00Z'), { type: 'since', ms: Date.UTC(2024, 1, 29) });
  });

  it('refuses what is no time of RFC 3339 and no unix milliseconds', () => {
    for (const text of [
      'yesterday',
      '1h',
      '-1',
      '1.5',
      '1e3',
      '99999999999999999',
      '9999999999999999',
      '2026-11-30',
      '2026-11-30T01:02:03',
      '2026-11-30T01:02Z',
      '2026-11-30%2001:02:03Z',
      '2026-02-29T00:00:00Z',
      '2026-13-01T00:00:00Z',
      '2026-00-01T00:00:00Z',
      '2026-11-31T00:00:00Z',
      '2026-11-30T24:00:00Z',
      '2026-11-30T23:60:00Z',
      '2026-11-30T23:59:60Z',
      '2026-11-30T01:02:03.Z',
      '2026-11-30T01:02:03+0100',
      '2026-11-30T01:02:03+24:00',
      '２０２６-11-30T01:02:03Z',
    ])
      refused(`since=${text}`, 'bad_parameter', /RFC 3339/);
  });

  it('refuses a cursor that cannot be one', () => {
    for (const text of ['a b', 'a%00b', `${'1'.repeat(129)}`, 'é', '1/2', '%22'])
      refused(`cursor=${encodeURI(text)}`, 'bad_parameter', /^cursor ".{1,50}" is no cursor of this server$/);
    const shown: [string, string][] = [
      ['x'.repeat(200), `"${'x'.repeat(40)}…"`],
      ['\u202e"\u001b[31m\u{1f600}', String.raw`"\u202e\"\u001b[31m\ud83d\ude00"`],
      [`${'x'.repeat(39)}\u{1f600}`, String.raw`"${'x'.repeat(39)}\ud83d…"`],
    ];
    for (const [text, said] of shown)
      assert.throws(() => parseFeedQuery(`cursor=${encodeURIComponent(text)}`, 'events'), {
        code: 'bad_parameter',
        detail: `cursor ${said} is no cursor of this server`,
        extra: { parameter: 'cursor' },
      });
  });

  it('refuses two starts, batches of peers, gzip without batches, and meta=false where it is implied', () => {
    refused('cursor=now&since=0', 'bad_parameter', /does not go with/);
    refused(`batch=100&peers=${OTHER}`, 'bad_parameter', /does not go with peers/);
    refused('encoding=gzip', 'bad_parameter', /batch/);
    refused('encoding=GZIP&batch=100', 'bad_parameter', /must be gzip/);
    refused('meta=false&cursor=now', 'bad_parameter', /implied/);
    refused('meta=false&since=0', 'bad_parameter', /implied/);
    refused('meta=false', 'bad_parameter', /always true/, 'sse');
    assert.equal(ask('meta=false').meta, false);
    assert.equal(ask('batch=250&encoding=gzip').gzip, true);
  });

  it('takes of each choice what is listed and nothing beside it', () => {
    for (const ms of [50, 100, 250, 1000]) assert.equal(ask(`batch=${ms}`).batchMs, ms);
    for (const text of ['51', '0', '-50', '050', '50.0', '1e3', '50ms'])
      refused(`batch=${text}`, 'bad_parameter', /50, 100, 250 or 1000/);
    for (const text of ['1', 'yes', 'TRUE', 'True'])
      refused(`strict=${text}`, 'bad_parameter', /true or false/);
  });

  it('pages by 1 to 1000, oldest first unless told', () => {
    for (const limit of [1, 100, 1000]) assert.equal(ask(`limit=${limit}`, 'events').limit, limit);
    for (const text of ['0', '1001', '-1', '1.5', '1e2', '9'.repeat(400), '٣'])
      refused(`limit=${encodeURI(text)}`, 'bad_parameter', /from 1 to 1000/, 'events');
    assert.equal(ask('order=desc', 'events').descending, true);
    assert.equal(ask('order=asc', 'events').descending, false);
    refused('order=DESC', 'bad_parameter', /asc or desc/, 'events');
  });

  it('lets what an EventSource remembers beat what its URL says', () => {
    const start = (query: string, id: string) => parseFeedQuery(query, 'sse', id).start;
    const cursor = { type: 'cursor', text: '0123456789abcdef.7' };
    for (const query of ['', 'cursor=oldest', 'since=0', 'cursor=0123456789abcdef.3'])
      assert.deepEqual(start(query, '0123456789abcdef.7'), cursor, query);
    assert.deepEqual(start('cursor=oldest', ''), { type: 'oldest' });
    assert.throws(() => start('', 'é'), /^FeedProblem: cursor "\\u00e9" is no cursor of this server$/);
  });
});
