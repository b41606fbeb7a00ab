/** A folder in the place of a machine's root: what a page says of /etc, /var/lib and /usr/local is in it, and known ports are the test's. */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** Of the pages' commands, by what is set up for the test. */
export interface Place {
  readonly root: string;
  /** Documented port of `localhost`, and the one in its place. */
  readonly ports: Readonly<Record<string, number>>;
}

const FOLDERS = ['etc', 'var', 'usr/local', 'srv'];

/** `text` of a page or of a unit with the place's own folders and ports. */
export function placed(text: string, { root, ports }: Place): string {
  const paths = new RegExp(`(^|[\\s"'=:<>(])/(${FOLDERS.join('|')})(?=[/\\s]|$)`, 'gm');
  return text
    .replace(paths, (_, before: string, folder: string) => `${before}${root}/${folder}`)
    .replace(/\b(localhost|127\.0\.0\.1):(\d{4,5})\b/g, (whole, host: string, port: string) =>
      ports[port] === undefined ? whole : `${host}:${ports[port]}`,
    );
}

/** The folders that a system has. */
export function makeRoot(root: string): void {
  for (const folder of ['etc/systemd/system', 'var/lib', 'usr/local/bin', 'run', 'bin', 'srv', 'checkout'])
    mkdirSync(join(root, folder), { recursive: true });
}
