/**
 * The text of a library, for tests that fail when what this server reaches into has changed. Where one does: read what is new there, see
 * whether the reach is still needed and still holds, and only then write the new digest.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of a package's main file. */
export const libraryFolder = (name: string): string => dirname(fileURLToPath(import.meta.resolve(name)));

/** Sixteen hex digits of the text's SHA-256. */
export const digestOf = (text: string): string =>
  createHash('sha256').update(text).digest('hex').slice(0, 16);

/** The digest of a file, or of one method in it: from its name, as it stands at the beginning of a class member, to its closing brace. */
export function digestIn(file: string, method?: string): string {
  const text = readFileSync(file, 'utf8');
  if (method === undefined) return digestOf(text);
  const from = text.indexOf(`\n    ${method}`);
  assert.notEqual(from, -1, `${method} is no longer in ${file}`);
  return digestOf(text.slice(from + 5, text.indexOf('\n    }\n', from)));
}

/** Digests by name, of entries `[file in the folder, method]`. */
export function digestsOf(
  folder: string,
  entries: Readonly<Record<string, readonly [file: string, method?: string]>>,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(entries).map(([name, [file, method]]) => [name, digestIn(join(folder, file), method)]),
  );
}
