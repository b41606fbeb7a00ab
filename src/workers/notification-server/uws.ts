/** Finds a build of uWebSockets.js that loads here. */

import type * as UWebSockets from 'uWebSockets.js';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';

export type { HttpRequest, HttpResponse, TemplatedApp, us_listen_socket, WebSocket } from 'uWebSockets.js';

export type UwsModule = Pick<
  typeof UWebSockets,
  'App' | 'SSLApp' | 'us_listen_socket_close' | 'us_socket_local_port' | 'DISABLED'
>;

export interface LoadedUws {
  readonly uws: UwsModule;
  /** Which one, for logs: package and version. */
  readonly build: string;
  /** False for the plain JavaScript one: no HTTPS, no source addresses, a fraction of the speed. */
  readonly native: boolean;
}

const require = createRequire(import.meta.url);

/** Packages need not export their package.json; ours keep their entry at the root or one folder below. */
function version(name: string): string {
  const folder = dirname(require.resolve(name));
  const file = [folder, dirname(folder)]
    .map((each) => join(each, 'package.json'))
    .find((each) => existsSync(each));
  return file === undefined ? '' : (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/**
 * The newest build that loads. The older package falls back to JavaScript by itself when its binary does not load, so its
 * binary and its JavaScript are asked for apart. Throws ConfigurationError when no native build loads and JavaScript is
 * not allowed.
 */
export function loadUws({ allowJavaScript = false, natives = true } = {}): LoadedUws {
  const faults: string[] = [];
  const attempt = (name: string, path: string): LoadedUws | undefined => {
    try {
      const uws = require(path) as UwsModule;
      return { uws, build: `${name} ${version(name)}`, native: true };
    } catch (error) {
      faults.push(`${name}: ${errorMessage(error).trim().split('\n').at(-1)}`);
      return undefined;
    }
  };
  const { platform, arch, versions } = process;
  const native = natives
    ? (attempt('uWebSockets.js', `uWebSockets.js/uws_${platform}_${arch}_${versions.modules}.node`) ??
      attempt('uWebSockets.js', 'uWebSockets.js') ??
      attempt(
        'uwebsockets-compat',
        `uwebsockets-compat/binaries/uws_${platform}_${arch}_${versions.modules}.node`,
      ))
    : undefined;
  if (native !== undefined) return native;
  if (!allowJavaScript) {
    throw new ConfigurationError([
      `no native build of uWebSockets.js loads here (${platform} ${arch}, Node ${versions.node}): ${faults.join('; ')}. ` +
        '--allow-js-websocket serves through a slow JavaScript one',
    ]);
  }
  const uws = require('uwebsockets-compat/dist/index.js') as UwsModule;
  return { uws, build: `uwebsockets-compat ${version('uwebsockets-compat')}, JavaScript`, native: false };
}
