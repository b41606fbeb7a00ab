// Writes docs/settings.md from the table of settings, docs/queues.md from that of queues, what of docs/feed.md and docs/compatibility.md comes from tables, and the frames' types of the consumers' library. Needs a build: `npm run docs:settings` makes one first.
import { readFileSync, writeFileSync } from 'node:fs';
import { withFeedTables } from '../dist/src/shared/firehose/feed-markdown.js';
import { frameTypes } from '../dist/src/shared/firehose/frame-types.js';
import { queuesMarkdown } from '../dist/src/shared/queues-markdown.js';
import { settingsMarkdown } from '../dist/src/shared/settings/docs.js';
import { withPlaceTable } from '../dist/test/place/rows.js';

writeFileSync(new URL('../docs/settings.md', import.meta.url), settingsMarkdown());
writeFileSync(new URL('../docs/queues.md', import.meta.url), queuesMarkdown());
writeFileSync(new URL('../client/src/frames.ts', import.meta.url), frameTypes());
for (const [path, written] of [
  ['../docs/compatibility.md', withPlaceTable],
  ['../docs/feed.md', withFeedTables],
]) {
  const page = new URL(path, import.meta.url);
  writeFileSync(page, written(readFileSync(page, 'utf8')));
}
