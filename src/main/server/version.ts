import { readFileSync } from 'node:fs';

/** This package's version, told where the setting `version` is empty. */
export function packageVersion(): string {
  // Compiled, this file is in dist/src/main/server.
  const file = new URL('../../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
