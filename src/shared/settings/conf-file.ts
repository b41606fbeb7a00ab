/** Reading of `settings.conf` and `settings_local.conf` as gocore does. */

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** The lines of one file: full key, contexts included, to value. */
export type ConfLines = ReadonlyMap<string, string>;

/** A settings file is text that a person wrote: more bytes than this are a mistake. */
const FILE_BOUND = 4 * 1024 * 1024;

/** What is odd about a line, and may not be what its writer meant. */
export interface OddLine {
  /** Counted from 1. */
  readonly number: number;
  /** The full key; undefined where the line has no `=`, or nothing before it. */
  readonly key: string | undefined;
  /** What is the matter, after `line 7: <key>`, without the value. */
  readonly what: string;
}

/**
 * Lines `key = value`. `#` cuts a line wherever it stands, in quotes too; surrounding double quotes are removed; a line
 * without `=` is nothing; the last of equal keys wins. All as Go reads them; what a person may have meant otherwise is `odd`.
 */
export function parseConf(text: string): { readonly lines: ConfLines; readonly odd: readonly OddLine[] } {
  const lines = new Map<string, string>();
  const numbers = new Map<string, number>();
  const odd: OddLine[] = [];
  for (const [index, whole] of text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .entries()) {
    const number = index + 1;
    const line = whole.split('#', 1)[0] ?? '';
    const equals = line.indexOf('=');
    const key = equals === -1 ? '' : line.slice(0, equals).trim();
    if (key === '') {
      if (line.trim() !== '')
        odd.push({ number, key: undefined, what: 'is no key = value, and is not read' });
      continue;
    }
    const told = (what: string) => odd.push({ number, key, what });
    const before = numbers.get(key);
    if (before !== undefined) told(`is there already in line ${before}; the last one counts`);
    const value = line.slice(equals + 1);
    if (line.includes('\uFFFD')) told('has bytes that are no UTF-8');
    if (isCut(value, whole.slice(line.length))) {
      told('is cut at #, which ends a value wherever it stands, in quotes too');
    } else if (isHalfQuoted(value.trim()))
      told('has a quote at one end alone, which stays part of the value');
    lines.set(key, unquoted(value.trim()));
    numbers.set(key, number);
  }
  return { lines, odd };
}

/** Whether `#` in `rest`, if there is one, ends a value in its middle: what begins a comment has a space before or after it. */
function isCut(value: string, rest: string): boolean {
  if (rest === '') return false;
  const quoted = /^\s*"[^"]*$/.test(value);
  return quoted || /\S$/.test(value) || (value.trim() === '' && /^#+[^\s#]/.test(rest));
}

function isHalfQuoted(value: string): boolean {
  return value === '"' || value.startsWith('"') !== value.endsWith('"');
}

function unquoted(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

/** A file that was found. */
export interface ConfFile {
  readonly path: string;
  readonly lines: ConfLines;
  readonly odd: readonly OddLine[];
}

/**
 * The nearest `name` in one of `starts` or any folder above it, the first start that has one deciding. `undefined` when
 * there is none. Throws when a file is there but cannot be read, passes 4 MiB, is UTF-16, or has lines that no line feed ends.
 */
export function findConf(name: string, starts: readonly string[]): ConfFile | undefined {
  for (const start of starts) {
    for (let folder = resolve(start); ; folder = dirname(folder)) {
      const path = join(folder, name);
      const text = readIfThere(path);
      if (text !== undefined) return { path, ...parseConf(text) };
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
  refuseEncoding(path, bytes);
  return bytes.toString('utf8');
}

/** Files of which, read as UTF-8, next to nothing would be left, without a word. */
function refuseEncoding(path: string, bytes: Buffer): void {
  const mark = bytes.subarray(0, 2).toString('hex');
  if (mark === 'fffe' || mark === 'feff' || bytes.includes(0)) {
    throw new Error(`${path} is UTF-16 or binary; save it as UTF-8`);
  }
  if (bytes.includes(13) && !bytes.includes(10)) {
    throw new Error(`${path} ends its lines with carriage returns alone; save it with line feeds`);
  }
}
