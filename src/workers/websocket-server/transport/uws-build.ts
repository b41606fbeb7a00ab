/** Finds a build of uWebSockets.js that loads here. */

import type * as UWebSockets from 'uWebSockets.js';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ConfigurationError, errorMessage } from '../../../shared/errors.js';
import { MAX_HEAD_BYTES } from '../../../shared/net/http-visitor.js';

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, WebSocket } from 'uWebSockets.js';

type UwsModule = Pick<
  typeof UWebSockets,
  'App' | 'SSLApp' | 'us_listen_socket_close' | 'us_socket_local_port' | 'DISABLED'
>;

export interface LoadedUws {
  readonly uws: UwsModule;
  /** Which one, for logs: package and version. */
  readonly build: string;
  /** Whether an answer to HEAD can tell the length of what it leaves out; the older build's does not end, and aborts the process. */
  readonly endsWithoutBody: boolean;
  /** Whether it refuses at once what it does not take; the older build says nothing for twelve seconds. */
  readonly refusesAtOnce: boolean;
  /** Whether a head may have {@link MAX_HEAD_BYTES} however it comes; the older build cuts one above 4 KiB that comes in more than one piece. */
  readonly takesLongHeads: boolean;
}

const require = createRequire(import.meta.url);

/** Not installed with the server: half of what a machine would fetch, for builds that serve only who asks for them. */
const OLDER = 'uwebsockets-compat';
const INSTALL = `npm install ${OLDER}@npm:@trufflesuite/uws-js-unofficial@20.30.0-unofficial.0`;

/** Packages need not export their package.json; ours keep their entry at the root or one folder below. */
export function packageVersion(name: string): string {
  const folder = dirname(require.resolve(name));
  const file = [folder, dirname(folder)]
    .map((each) => join(each, 'package.json'))
    .find((each) => existsSync(each));
  return file === undefined ? '' : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/**
 * The newest build that loads. Of the older package only its binaries are asked for: where none loads, its own entry would
 * go on in JavaScript that publishes nothing. Throws ConfigurationError, saying what each build lacks, when none loads.
 */
export function loadUws(): LoadedUws {
  const { platform, arch, versions } = process;
  const binary = `uws_${platform}_${arch}_${versions.modules}.node`;
  const faults: string[] = [];
  // A build that is loaded reads it once. Without it a head may have 4 KiB, and queries alone may have more.
  process.env.UWS_HTTP_MAX_HEADERS_SIZE = String(MAX_HEAD_BYTES);
  for (const [name, path] of [
    ['uWebSockets.js', `uWebSockets.js/${binary}`],
    // The author's own package has its binaries elsewhere.
    ['uWebSockets.js', 'uWebSockets.js'],
    [OLDER, `${OLDER}/binaries/${binary}`],
  ] as const) {
    try {
      const build = `${name} ${packageVersion(name)}`;
      const newer = name === 'uWebSockets.js';
      const uws = require(path) as UwsModule;
      return { uws, build, endsWithoutBody: newer, refusesAtOnce: newer, takesLongHeads: newer };
    } catch (error) {
      // The last line that says something: below it are the names of who asked.
      const lines = errorMessage(error)
        .split('\n')
        .filter((line) => !/^(- .*|Require stack:|\s*)$/.test(line));
      const missing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND' && name === OLDER;
      faults.push(
        missing ? `${name}, for Node up to 20, is not installed (${INSTALL})` : `${name}: ${lines.at(-1)}`,
      );
    }
  }
  throw new ConfigurationError([
    `p2p_websocket_transport: no native build of uWebSockets.js loads here (${platform} ${arch}, Node ${versions.node}): ` +
      faults.join('; '),
  ]);
}
