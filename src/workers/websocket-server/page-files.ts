/** The page's files, read once. */

import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PageFile {
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

const SCRIPTS = [
  'access',
  'app',
  'charts',
  'connection',
  'details',
  'feed',
  'kinds',
  'peers',
  'status',
  'text',
  'token',
];
/** Below the package: as written, and what the build makes of the consumers' library. */
const FOLDERS = { page: 'src/workers/websocket-server/page', built: 'dist/app/page' };
const FILES: readonly { path: string; file: string; contentType: string; folder?: keyof typeof FOLDERS }[] = [
  { path: '/', file: 'index.html', contentType: 'text/html; charset=utf-8' },
  {
    path: '/feed-library.js',
    file: 'feed-library.js',
    contentType: 'text/javascript; charset=utf-8',
    folder: 'built',
  },
  ...SCRIPTS.map((name) => ({
    path: `/${name}.js`,
    file: `${name}.js`,
    contentType: 'text/javascript; charset=utf-8',
  })),
  { path: '/style.css', file: 'style.css', contentType: 'text/css; charset=utf-8' },
  { path: '/icon.svg', file: 'icon.svg', contentType: 'image/svg+xml' },
];

/** The folder above this file that holds package.json: the same seen from sources, build output and an installed package. */
function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    const above = dirname(folder);
    if (above === folder) throw new Error('the package of the notification server has no package.json');
    folder = above;
  }
  return folder;
}

/** Throws when a file is missing. */
export function loadPage(root = packageRoot()): readonly PageFile[] {
  return FILES.map(({ path, file, contentType, folder = 'page' }) => ({
    path,
    contentType,
    body: readFileSync(join(root, FOLDERS[folder], file)),
  }));
}

/** Sent with every file: nothing from elsewhere, nothing inline, no frames. */
export const PAGE_HEADERS: readonly (readonly [string, string])[] = [
  [
    'content-security-policy',
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ],
  ['referrer-policy', 'no-referrer'],
  ['x-frame-options', 'DENY'],
  ['cross-origin-opener-policy', 'same-origin'],
  ['cache-control', 'no-cache'],
];
