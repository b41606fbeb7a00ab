/** Reading of `settings.conf` and `settings_local.conf` as gocore does. */

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The lines of one file: full key, contexts included, to value. */
export type ConfLines = ReadonlyMap<string, string>;

/** A settings file is text that a person wrote: more bytes than this are a mistake. */
const FILE_BOUND = 4 * 1024 * 1024;

/**
 * Lines `key = value`. `#` cuts a line wherever it stands, in quotes too; surrounding double quotes are removed; a line
 * without `=` is nothing; the last of equal keys wins.
 */
export function parseConf(text: string): ConfLines {
  const lines = new Map<string, string>();
  for (const whole of text.replace(/^\uFEFF/, '').split('\n')) {
    const line = whole.split('#', 1)[0] ?? '';
    const equals = line.indexOf('=');
    if (equals === -1) continue;
    const key = line.slice(0, equals).trim();
    if (key === '') continue;
    lines.set(key, unquoted(line.slice(equals + 1).trim()));
  }
  return lines;
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** A file that was found. */
export interface ConfFile {
  readonly path: string;
  readonly lines: ConfLines;
}

/**
 * The nearest `name` in one of `starts` or any folder above it, the first start that has one deciding. `undefined` when
 * there is none. Throws when a file is there but cannot be read, or passes 4 MiB.
 */
export function findConf(name: string, starts: readonly string[]): ConfFile | undefined {
  for (const start of starts) {
    for (let folder = resolve(start); ; folder = dirname(folder)) {
      const path = join(folder, name);
      const text = readIfThere(path);
      if (text !== undefined) return { path, lines: parseConf(text) };
      if (folder === dirname(folder)) break;
    }
  }
  return undefined;
}

function readIfThere(path: string): string | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw error;
  }
  if (bytes.length > FILE_BOUND) throw new Error(`${path} has more than ${FILE_BOUND} bytes`);
  return bytes.toString('utf8');
}
