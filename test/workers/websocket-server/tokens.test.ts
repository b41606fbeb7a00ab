import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FeedProblem, type ProblemCode } from '../../../src/shared/firehose/problems.js';
import { parseFeedQuery } from '../../../src/shared/firehose/query.js';
import type { FeedEndpoint } from '../../../src/shared/firehose/request.js';
import { hashOfToken, parseTokens } from '../../../src/shared/firehose/tokens.js';
import { Tokens } from '../../../src/workers/websocket-server/tokens.js';

const FILE = `all:${hashOfToken('for-all')}:
blocks:${hashOfToken('for-blocks')}:connections=2 kinds=block,subtree
live:${hashOfToken('for-live')}:replay=no
`;

const admitting =
  (tokens: Tokens) =>
  (query: string, authorization = '', endpoint: FeedEndpoint = 'websocket') =>
    tokens.admit({ request: parseFeedQuery(query, endpoint), authorization, endpoint });

const admit = admitting(new Tokens(parseTokens(FILE)));

function refused(code: ProblemCode, ...asked: Parameters<typeof admit>): FeedProblem {
  try {
    admit(...asked);
  } catch (error) {
    assert.ok(error instanceof FeedProblem, String(error));
    assert.equal(error.code, code);
    assert.ok(!/for-|Bearer/.test(error.body()), 'no token is told');
    return error;
  }
  assert.fail(`${JSON.stringify(asked)} is admitted`);
}

describe('tokens', () => {
  it('are asked for nowhere where there is no file', () => {
    const anybody = admitting(new Tokens(undefined));
    assert.deepEqual(anybody('token=whatever').token, '');
    assert.equal(anybody('', 'Bearer whatever').token, '');
    assert.equal(anybody('', '', 'segments').token, '');
  });

  it('come in the header or as a parameter', () => {
    const good: readonly Parameters<typeof admit>[] = [
      ['token=for-all'],
      ['', 'Bearer for-all'],
      ['', 'bearer  for-all '],
      ['token=for-all', 'Bearer for-all'],
      // A proxy's own.
      ['token=for-all', 'Basic YWJj'],
    ];
    for (const asked of good) assert.equal(admit(...asked).token, 'all');
    assert.deepEqual(refused('bad_parameter', 'token=for-all', 'Bearer for-live').extra, {
      parameter: 'token',
    });
    assert.equal(refused('token_missing', '').status, 401);
    refused('token_missing', '', 'Basic YWJj');
    refused('token_missing', '', 'Bearer ');
    for (const text of ['for-al', 'for-all2', 'FOR-ALL', hashOfToken('for-all')]) {
      assert.equal(refused('token_unknown', `token=${text}`).close, 4401);
      refused('token_unknown', '', `Bearer ${text}`);
    }
  });

  it('limit kinds: the whole feed is those, others are refused, and of the archive, which has all, nothing is had', () => {
    const { request, kinds, connections } = admit('token=for-blocks');
    assert.deepEqual([request.kinds, kinds, connections], [[1, 2], ['block', 'subtree'], 2]);
    assert.deepEqual(admit('token=for-blocks&kinds=subtree').request.kinds, [2]);
    for (const asked of ['kinds=node_status', 'kinds=block,node_status']) {
      const problem = refused('not_allowed', `token=for-blocks&${asked}`);
      assert.deepEqual(
        [problem.status, problem.close, problem.extra],
        [403, 4403, { kinds: ['block', 'subtree'] }],
      );
    }
    refused('not_allowed', 'token=for-blocks', '', 'segments');
    assert.equal(admit('token=for-all', '', 'segments').token, 'all');
    assert.equal(admit('token=for-all').request.kinds, undefined);
  });

  it('limit replay: what was before is refused, what comes is had', () => {
    for (const query of ['', 'cursor=now', 'meta=true', 'kinds=block'])
      assert.equal(admit(query, 'Bearer for-live').token, 'live', query);
    for (const query of ['cursor=oldest', 'cursor=0123456789abcdef.1', 'since=0'])
      refused('not_allowed', query, 'Bearer for-live');
    for (const endpoint of ['events', 'segments'] as const)
      refused('not_allowed', '', 'Bearer for-live', endpoint);
  });

  it('can let in who brings none, within limits', () => {
    const tokens = new Tokens(parseTokens(`${FILE}anonymous:-:kinds=block`));
    const anonymous = admitting(tokens)('');
    assert.deepEqual([anonymous.token, anonymous.request.kinds], ['anonymous', [1]]);
    assert.equal(admitting(tokens)('', 'Bearer for-all').token, 'all');
    assert.throws(() => admitting(tokens)('token=wrong'), { code: 'token_unknown' });
  });

  it('count no longer once they are not in the file', () => {
    const tokens = new Tokens(parseTokens(FILE));
    assert.ok(tokens.holds('all'));
    tokens.set(parseTokens(FILE.replace(hashOfToken('for-live'), hashOfToken('another'))));
    assert.deepEqual([tokens.holds('all'), tokens.holds('live')], [true, false], 'another of the same name');
    tokens.set(parseTokens(`live:${hashOfToken('another')}:`));
    assert.deepEqual([tokens.holds('all'), tokens.holds('live')], [false, true]);
    assert.throws(() => admitting(tokens)('token=for-all'), { code: 'token_unknown' });
    assert.throws(() => admitting(tokens)('token=for-live'), { code: 'token_unknown' });
    assert.equal(admitting(tokens)('token=another').token, 'live');
    assert.ok(new Tokens(undefined).holds(''));
    assert.equal(tokens.holds(''), false);
  });
});
