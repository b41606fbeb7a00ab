/** The operators' pages: what they tell to type. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Page {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
  /** Commands, in order. */
  readonly blocks: readonly { readonly line: number; readonly code: string }[];
  /** What has to be there before the first command, in a comment `<!-- needs: … -->`: `settings` (the files that docs/operators/machine.md makes), `server` (which
   * runs on them), `predecessor` (another service, `teranode-peer`, on the same ports). */
  readonly needs: readonly string[];
}

/** Languages of blocks in these pages; what is to be typed is `sh`, so that none can hide in another. */
const LANGUAGES = ['sh', 'yaml', 'json', 'nginx', 'haproxy', 'caddy', 'ini', 'mermaid'];

export const PATHS = [
  'docs/operations.md',
  ...readdirSync('docs/operators').map((name) => join('docs/operators', name)),
].filter((path) => path.endsWith('.md'));

/** Reads a page. Throws where a block is none of the languages that are known here. */
export function readPage(path: string): Page {
  const text = readFileSync(path, 'utf8');
  const blocks: { line: number; code: string }[] = [];
  let open: { indent: string; language: string; line: number; code: string[] } | undefined;
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^( *)```(.*)$/.exec(line);
    if (open === undefined && fence !== null) {
      const [, indent = '', language = ''] = fence;
      if (!LANGUAGES.includes(language)) throw new Error(`${path}:${index + 1}: a block of “${language}”`);
      open = { indent, language, line: index + 1, code: [] };
    } else if (open !== undefined && fence !== null) {
      if (open.language === 'sh') blocks.push({ line: open.line, code: open.code.join('\n') });
      open = undefined;
    } else if (open !== undefined)
      open.code.push(line.startsWith(open.indent) ? line.slice(open.indent.length) : line);
  }
  const needs = [...text.matchAll(/<!-- needs: ([\w, ]+) -->/g)].flatMap(([, list = '']) =>
    list.split(/, */),
  );
  return { path, text, blocks, needs };
}

/** Commands of the server that a page names in passing, as words: `teranode-p2p outbox dead-letter list`. */
export function namedCommands({ text }: Page): string[] {
  return [...text.matchAll(/`teranode-p2p ([a-z][^`]*)`/g)].map(([, words = '']) => words);
}
