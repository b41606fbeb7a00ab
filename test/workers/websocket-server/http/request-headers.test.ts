/** What clients say that they take, and have. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { takesGzip, takesType } from '../../../../src/workers/websocket-server/http/accept.js';
import { preconditionOf, wantsPart } from '../../../../src/workers/websocket-server/http/preconditions.js';
import type { HttpRequest } from '../../../../src/workers/websocket-server/transport/index.js';

const request = (...headers: [string, string][]): HttpRequest => ({
  method: 'GET',
  path: '/',
  query: '',
  address: '',
  headers,
});

describe('Accept-Encoding', () => {
  const takes = (value: string) => takesGzip(request(['accept-encoding', value]));
  it('lets gzip through where it is named, or all are, and not rather left as it is', () => {
    for (const value of [
      'gzip',
      'GZIP',
      'deflate, gzip;q=0.5',
      'br;q=1.0, gzip;q=0.8, *;q=0.1',
      '*',
      'x-gzip',
    ])
      assert.equal(takes(value), true, value);
    for (const value of ['', 'identity', 'br', 'gzip;q=0', 'gzip; q=0.0', '*;q=0', 'identity, gzip;q=0.5'])
      assert.equal(takes(value), false, value);
    assert.equal(takesGzip(request()), false);
  });
});

describe('Accept', () => {
  const takes = (...values: string[]) =>
    takesType(request(...values.map((value): [string, string] => ['accept', value])), 'text/event-stream');
  it('lets a type through where it, its family or all are named', () => {
    assert.equal(takes(), true);
    for (const value of [
      'text/event-stream',
      '*/*',
      'text/*',
      'text/html, */*;q=0.8',
      'Text/Event-Stream; q=1',
    ])
      assert.equal(takes(value), true, value);
    for (const value of [
      'application/json',
      'text/event-stream;q=0',
      'text/event-stream;q=0, */*',
      'image/*',
    ])
      assert.equal(takes(value), false, value);
    assert.equal(takes('application/json', 'text/event-stream'), true);
  });
});

describe('preconditions', () => {
  const TAG = '"abc"';
  it('find what the client has, weakly compared', () => {
    const of = (value: string) => preconditionOf(request(['if-none-match', value]), TAG);
    for (const value of ['"abc"', 'W/"abc"', '"x", "abc"', '*'])
      assert.equal(of(value), 'not_modified', value);
    for (const value of ['"ab"', 'abc', '']) assert.equal(of(value), 'none', value);
  });

  it('fail where another one is wanted, strongly compared', () => {
    const of = (value: string) => preconditionOf(request(['if-match', value]), TAG);
    for (const value of ['"abc"', '"x", "abc"', '*']) assert.equal(of(value), 'none', value);
    for (const value of ['"ab"', 'W/"abc"']) assert.equal(of(value), 'failed', value);
  });

  it('have a part sent only of the very representation that If-Range names', () => {
    const wants = (...headers: [string, string][]) => wantsPart(request(...headers), TAG);
    assert.equal(wants(), true);
    assert.equal(wants(['if-range', '"abc"']), true);
    for (const value of ['"ab"', 'W/"abc"', 'Wed, 21 Oct 2015 07:28:00 GMT'])
      assert.equal(wants(['if-range', value]), false, value);
  });
});
