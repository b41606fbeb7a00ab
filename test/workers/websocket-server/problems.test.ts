/** What the feed's HTTP endpoints answer to what they do not do: problem details (RFC 9457), with headers as the standards have them. */

import assert from 'node:assert/strict';
import { STATUS_CODES } from 'node:http';
import { describe, it } from 'node:test';
import type { ProblemCode } from '../../../src/shared/firehose/problems.js';
import { metricSum, serveNotifications, TRANSPORTS } from '../../support/notifications.js';

interface Case {
  readonly path: string;
  readonly init?: RequestInit;
  readonly status: number;
  readonly code: ProblemCode;
  /** The path is none of the feed's. */
  readonly elsewhere?: true;
}

const COUNTED = 'teranode_p2p_websocket_feed_refusals_total';

const ENDPOINTS = ['/events', '/api/v1/events', '/api/v1/segments', '/api/v1/segments/0123456789abcdef/0'];
const LONG = 'x'.repeat(2_000);

const CASES: readonly Case[] = [
  ...ENDPOINTS.flatMap((path): Case[] => [
    { path: `${path}?nonsense=1`, status: 400, code: 'unknown_parameter' },
    { path: `${path}?token=`, status: 400, code: 'bad_parameter' },
    { path, init: { method: 'POST' }, status: 405, code: 'method_not_allowed' },
    { path, init: { method: 'DELETE' }, status: 405, code: 'method_not_allowed' },
  ]),
  ...['/events', '/api/v1/events'].flatMap((path): Case[] => [
    { path: `${path}?kinds=nonsense`, status: 400, code: 'unknown_kind' },
    { path: `${path}?KINDS=block`, status: 400, code: 'unknown_parameter' },
    { path: `${path}?kinds=block&kinds=block`, status: 400, code: 'bad_parameter' },
    { path: `${path}?cursor=${LONG}`, status: 400, code: 'bad_parameter' },
    { path: `${path}?cursor=0123456789abcdef`, status: 400, code: 'bad_parameter' },
    { path: `${path}?cursor=oldest&since=0`, status: 400, code: 'bad_parameter' },
    { path: `${path}?cursor=0123456789abcdef.5&strict=true`, status: 410, code: 'cursor_unknown' },
    { path: `${path}?meta=false`, status: 400, code: 'bad_parameter' },
    { path: `${path}?batch=100`, status: 400, code: 'unknown_parameter' },
    { path: `${path}?peers=me`, status: 400, code: 'bad_parameter' },
  ]),
  { path: '/events', init: { headers: { accept: 'application/json' } }, status: 406, code: 'not_acceptable' },
  { path: '/events?limit=5', status: 400, code: 'unknown_parameter' },
  { path: '/events?event=block', status: 400, code: 'bad_parameter' },
  { path: '/api/v1/events?limit=0', status: 400, code: 'bad_parameter' },
  { path: '/api/v1/events?limit=1001', status: 400, code: 'bad_parameter' },
  { path: '/api/v1/events?order=up', status: 400, code: 'bad_parameter' },
  { path: '/api/v1/segments?kinds=block', status: 400, code: 'unknown_parameter' },
  ...['/nothing', '/events/', '/api/v1/event', '/api/v2/events', '/p2p-ws/x'].map(
    (path): Case => ({ path, status: 404, code: 'not_found', elsewhere: true }),
  ),
  ...[
    '0123456789abcdef/0',
    '0123456789abcdef/',
    '0123456789abcdef',
    '0',
    'x',
    '0/0',
    '0123456789abcdef/0/0',
  ].map((name): Case => ({ path: `/api/v1/segments/${name}`, status: 404, code: 'not_found' })),
  { path: '/api/v1/segments/', status: 404, code: 'not_found' },
  { path: '/api/v1/segments/%2e%2e%2f0', status: 404, code: 'not_found' },
  { path: '/api/v1/segments/0123456789abcdef/99999999999999999999', status: 404, code: 'not_found' },
];

for (const transport of TRANSPORTS)
  describe(`problems on ${transport}`, () => {
    const serve: typeof serveNotifications = (t, changes, options) =>
      serveNotifications(
        t,
        { p2p_websocket_transport: transport, p2p_notification_servers: 1, ...changes },
        options,
      );

    it('are told by their codes, in the same form everywhere, and counted by them', async (t) => {
      const { http, servers } = await serve(t);
      for (const { path, init, status, code } of CASES) {
        const answer = await fetch(http + path, init);
        const what = `${init?.method ?? 'GET'} ${path.slice(0, 80)}`;
        const text = await answer.text();
        assert.equal(answer.status, status, `${what}: ${text}`);
        assert.equal(answer.headers.get('content-type'), 'application/problem+json', what);
        assert.equal(answer.headers.get('cache-control'), 'no-store', what);
        const problem = JSON.parse(text) as Record<string, unknown>;
        assert.deepEqual(
          [problem.code, problem.status, problem.title],
          [code, status, STATUS_CODES[status]],
          what,
        );
        assert.ok(typeof problem.detail === 'string' && problem.detail !== '', what);
        if (status === 405) assert.equal(answer.headers.get('allow'), 'GET, HEAD, OPTIONS', what);
      }
      const told = CASES.filter(({ elsewhere }) => elsewhere !== true).map(({ code }) => code);
      for (const code of new Set(told))
        assert.equal(
          await metricSum(servers, COUNTED, { code }),
          told.filter((each) => each === code).length,
          code,
        );
      assert.equal(await metricSum(servers, COUNTED), told.length);
    });

    it('are in words for the node’s own paths and the plain feed, as before', async (t) => {
      const { http } = await serve(t);
      const health = await fetch(`${http}/health`, { method: 'DELETE' });
      assert.deepEqual([health.status, health.headers.get('content-type')], [405, 'text/plain']);
      const endpoint = await fetch(`${http}/p2p-ws`);
      assert.deepEqual([endpoint.status, await endpoint.text()], [426, 'WebSocket only']);
    });

    it('are read by pages of allowed origins, which others are not told', async (t) => {
      const { http } = await serve(t, { p2p_websocket_allowed_origins: ['https://page.example'] });
      const from = (origin: string, path: string) => fetch(http + path, { headers: { origin } });
      for (const path of ['/api/v1/events?nonsense=1', '/api/v1/segments']) {
        const allowed = await from('https://page.example', path);
        assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://page.example', path);
        const other = await from('https://other.example', path);
        assert.equal(other.headers.get('access-control-allow-origin'), null, path);
        assert.match(other.headers.get('vary') ?? '', /origin/, path);
      }
      const stream = await from('https://other.example', '/events');
      assert.deepEqual(
        [stream.status, ((await stream.json()) as Record<string, unknown>).code],
        [403, 'origin_not_allowed'],
      );
    });

    it('let a page ask with a token', async (t) => {
      const { http } = await serve(t);
      const preflight = await fetch(`${http}/api/v1/events`, {
        method: 'OPTIONS',
        headers: {
          origin: 'https://page.example',
          'access-control-request-method': 'GET',
          'access-control-request-headers': 'authorization',
        },
      });
      assert.equal(preflight.status, 200);
      assert.equal(preflight.headers.get('access-control-allow-headers'), 'authorization');
    });

    it('come at once where a source asks too often', async (t) => {
      const { http, servers } = await serve(t, {
        p2p_websocket_trusted_source_cidrs: ['none'],
        p2p_websocket_max_connections: 10_000,
      });
      const ask = async () => {
        const answer = await fetch(`${http}/api/v1/events?nonsense=1`);
        const { code } = (await answer.json()) as { code: string };
        return { status: answer.status, retryAfter: answer.headers.get('retry-after'), code };
      };
      const limited: Awaited<ReturnType<typeof ask>>[] = [];
      // Fifty a second may come back meanwhile: a slow machine needs more rounds.
      for (let round = 0; round < 10 && limited.length === 0; round++) {
        const answers = await Promise.all(Array.from({ length: 400 }, ask));
        limited.push(...answers.filter(({ status }) => status === 429));
      }
      assert.ok(limited.length > 0);
      for (const each of limited)
        assert.deepEqual(each, { status: 429, retryAfter: '1', code: 'too_many_requests' });
      assert.equal(await metricSum(servers, COUNTED, { code: 'too_many_requests' }), limited.length);
    });
  });
