/** What is odd about settings files, said before somebody looks for it in the wrong place. */

import type { ConfFile, OddLine } from './conf-file.js';
import { nearestKey } from './nearest.js';

/** So many lines of a file are named for one oddity; of more there is only the number. */
const NAMED_LINES = 5;

/** One warning an odd line whose key is `ours`, and one a file for its lines that have none. */
export function oddLineWarnings(
  files: readonly ConfFile[],
  ours: (key: string) => boolean,
): readonly string[] {
  return files.flatMap(({ path, odd }) => {
    const named = odd.filter(({ key }) => key !== undefined && ours(baseOf(key)));
    const keyless = odd.filter(({ key }) => key === undefined);
    return [
      ...named.map(({ number, key = '', what }) => `${path}: line ${number}: ${key.slice(0, 128)} ${what}`),
      ...(keyless.length === 0 ? [] : [`${path}: ${together(keyless)}`]),
    ];
  });
}

/** Where the files have keys of contexts, none of them `context`: what is set for it by another name is not followed. */
export function contextWarnings(files: readonly ConfFile[], context: string | undefined): readonly string[] {
  if (!context || files.length === 0) return [];
  const contexts = new Set<string>();
  for (const { lines } of files) {
    for (const key of lines.keys()) {
      for (let name = key; name.includes('.'); name = name.slice(0, name.lastIndexOf('.'))) {
        contexts.add(name.slice(baseOf(name).length + 1));
      }
    }
  }
  if (contexts.has(context)) return [];
  const nearest = nearestKey(context, contexts);
  const meant =
    nearest === undefined || nearest.distance > 2 ? '' : `; the nearest is ${JSON.stringify(nearest.key)}`;
  return [`SETTINGS_CONTEXT: no settings file has a key of ${JSON.stringify(context.slice(0, 128))}${meant}`];
}

/** A full key without its context. */
export function baseOf(key: string): string {
  return key.split('.', 1)[0] ?? '';
}

function together(lines: readonly OddLine[]): string {
  const [first] = lines;
  const named = lines.slice(0, NAMED_LINES).map(({ number }) => number);
  const more = lines.length - named.length;
  const which = more === 0 ? named.join(', ') : `${named.join(', ')} and ${more} more`;
  return lines.length === 1 ? `line ${which} ${first?.what}` : `lines ${which}: each ${first?.what}`;
}
