// Writes docs/settings.md from the table of settings, docs/queues.md from that of queues, and the table of docs/compatibility.md that a test walks. Needs a build: `npm run docs:settings` makes one first.
import { readFileSync, writeFileSync } from 'node:fs';
import { queuesMarkdown } from '../dist/src/shared/queues-markdown.js';
import { settingsMarkdown } from '../dist/src/shared/settings/docs.js';
import { withPlaceTable } from '../dist/test/place/rows.js';

writeFileSync(new URL('../docs/settings.md', import.meta.url), settingsMarkdown());
writeFileSync(new URL('../docs/queues.md', import.meta.url), queuesMarkdown());
const page = new URL('../docs/compatibility.md', import.meta.url);
writeFileSync(page, withPlaceTable(readFileSync(page, 'utf8')));
