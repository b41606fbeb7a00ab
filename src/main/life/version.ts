import { readFileSync } from 'node:fs';

/** This package's version, told by the command line, and by whatever runs where the setting `version` is empty. */
export function packageVersion(): string {
  // Compiled, this file is in dist/src/main/life.
  const file = new URL('../../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
