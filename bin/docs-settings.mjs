// Writes docs/settings.md from the table of settings. Needs a build: `npm run docs:settings` makes one first.
import { writeFileSync } from 'node:fs';
import { settingsMarkdown } from '../dist/src/shared/settings/docs.js';

writeFileSync(new URL('../docs/settings.md', import.meta.url), settingsMarkdown());
