/** A parameter of the feed that the server does not have, added by one row, as `CONTRIBUTING.md` says. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { addParameter, checkTree, treeWith } from '../support/tree-with.js';

const ROW = `  parameter('newest', {
    endpoints: ['websocket', 'events'],
    doc: 'The newest first.',
    example: 'true',
    type: flag,
    ask: (newest) => ({ descending: newest }),
  }),`;

type Module<T> = Promise<T>;

test('a made-up parameter is read, refused, documented and described by its row alone', async (context) => {
  const tree = treeWith(context);
  addParameter(tree, ROW);
  checkTree(tree);
  const load = (path: string) => import(pathToFileURL(join(tree, 'dist', 'src', `${path}.js`)).href);
  const { parseFeedQuery } = await (load('shared/firehose/query') as Module<
    typeof import('../../src/shared/firehose/query.js')
  >);
  assert.equal(parseFeedQuery('newest=true', 'events').descending, true);
  assert.equal(parseFeedQuery('newest=false', 'events').descending, false);
  assert.throws(() => parseFeedQuery('newest=yes', 'events'), /newest must be true or false/);
  assert.throws(() => parseFeedQuery('newest=true&newest=true', 'websocket'), /newest is given twice/);
  assert.throws(() => parseFeedQuery('newest=true', 'sse'), /"newest" is none of/);
  assert.throws(() => parseFeedQuery('nothing=true', 'events'), /"nothing" is none of newest, /);

  const { withFeedTables } = await (load('shared/firehose/feed-markdown') as Module<
    typeof import('../../src/shared/firehose/feed-markdown.js')
  >);
  const page = withFeedTables(readFileSync('docs/feed.md', 'utf8')).split('\n');
  const row =
    '| `newest` | `true` or `false` | `/p2p-ws`, `/api/v1/events` | The newest first. | `newest=true` |';
  assert.ok(page.includes(row));

  const documents = 'workers/websocket-server/documents';
  const { openApiDocument } = await (load(`${documents}/openapi`) as Module<
    typeof import('../../src/workers/websocket-server/documents/openapi.js')
  >);
  const openApi = JSON.parse(JSON.stringify(openApiDocument()));
  const named = (path: string) =>
    openApi.paths[path].get.parameters.find(({ name }: { name: string }) => name === 'newest');
  assert.deepEqual(named('/api/v1/events'), {
    name: 'newest',
    in: 'query',
    description: 'The newest first.',
    schema: { type: 'boolean' },
    example: true,
  });
  assert.equal(named('/events'), undefined);
  const { asyncApiDocument } = await (load(`${documents}/asyncapi`) as Module<
    typeof import('../../src/workers/websocket-server/documents/asyncapi.js')
  >);
  const asyncApi = JSON.parse(JSON.stringify(asyncApiDocument()));
  assert.equal(asyncApi.channels.feed.bindings.ws.query.properties.newest.type, 'boolean');
});
