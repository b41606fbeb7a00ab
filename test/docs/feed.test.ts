import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { withFeedTables } from '../../src/shared/firehose/feed-markdown.js';

test('docs/feed.md has the tables as they are', () => {
  const page = readFileSync('docs/feed.md', 'utf8');
  assert.equal(page, withFeedTables(page), 'run npm run docs:settings');
});

test('a page without a place for a table is refused by name', () => {
  const page = readFileSync('docs/feed.md', 'utf8').replace('<!-- parameters -->', '');
  assert.throws(() => withFeedTables(page), /parameters/);
});
