/** Reads the query of a request for the feed by the table of parameters. */

import { PAGE, PARAMETERS, type Parameter } from './parameters.js';
import { FeedProblem } from './problems.js';
import type { FeedEndpoint, FeedRequest } from './request.js';

/** Bytes of a query at the most. */
const MAX_QUERY_BYTES = 8192;

/**
 * What `query`, which is what stands behind the `?`, asks of `endpoint`. `lastEventId` is an EventSource's, empty where it sent none; it beats `cursor` and
 * `since`, for an EventSource repeats the URL that it was made with. Throws FeedProblem.
 */
export function parseFeedQuery(query: string, endpoint: FeedEndpoint, lastEventId = ''): FeedRequest {
  if (query.length > MAX_QUERY_BYTES) throw new FeedProblem('query_too_long');
  const asked: Partial<FeedRequest> = {};
  const given = new Set<string>();
  for (const [name, text] of pairsOf(query)) {
    const parameter = PARAMETERS.find((each) => each.name === name && each.endpoints.includes(endpoint));
    if (parameter === undefined) throw unknown(name, endpoint);
    if (given.has(name)) throw wrong(name, 'is given twice');
    given.add(name);
    Object.assign(asked, read(parameter, text));
  }
  if (given.has('cursor') && given.has('since')) throw wrong('since', 'does not go with cursor');
  if (given.has('meta') && asked.meta === false) {
    if (endpoint !== 'websocket') throw wrong('meta', 'is always true here');
    if (asked.start !== undefined) throw wrong('meta', 'is implied by cursor and since');
  }
  if (asked.batchMs !== undefined && asked.peers !== undefined)
    throw wrong('batch', 'does not go with peers');
  if (asked.gzip === true && asked.batchMs === undefined) throw wrong('encoding', 'goes with batch alone');
  const resumed = lastEventId === '' ? {} : readLastEventId(lastEventId);
  const request = { ...PRESET, ...asked, ...resumed };
  return { ...request, meta: request.meta || request.start !== undefined || endpoint !== 'websocket' };
}

const PRESET: FeedRequest = {
  strict: false,
  meta: false,
  gzip: false,
  oneEvent: false,
  limit: PAGE.preset,
  descending: false,
};

/** Names and values, percent-decoded. A plus sign is one, as in RFC 3986: a time may have it, and no value a space. */
function pairsOf(query: string): [name: string, text: string][] {
  return query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const at = pair.indexOf('=');
      const name = decoded(at < 0 ? pair : pair.slice(0, at));
      return [name, at < 0 ? '' : decoded(pair.slice(at + 1))];
    });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new FeedProblem('bad_parameter', 'the query is not percent-encoded UTF-8');
  }
}

function read(parameter: Parameter, text: string): Partial<FeedRequest> {
  const { name } = parameter;
  if (text === '') throw wrong(name, 'is empty');
  const asked = parameter.read(text);
  if (asked === undefined) throw wrong(name, `must be ${parameter.expects.replaceAll('`', '')}`);
  return asked;
}

function readLastEventId(text: string): Partial<FeedRequest> {
  const cursor = PARAMETERS.find(({ name }) => name === 'cursor');
  return cursor === undefined ? {} : read(cursor, text);
}

function wrong(parameter: string, why: string): FeedProblem {
  return new FeedProblem('bad_parameter', `${parameter} ${why}`, { parameter });
}

function unknown(name: string, endpoint: FeedEndpoint): FeedProblem {
  const parameters = PARAMETERS.filter(({ endpoints }) => endpoints.includes(endpoint)).map(
    (each) => each.name,
  );
  const shown = JSON.stringify(name.slice(0, 64));
  return new FeedProblem('unknown_parameter', `${shown} is none of ${parameters.join(', ')}`, { parameters });
}
