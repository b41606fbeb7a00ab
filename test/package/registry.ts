/** A registry on loopback that has one package more than npm's: npm asks a registry, and no tarball, whether a package brings a lockfile. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CleansUp } from '../support/temporary.js';

/** Serves `tarball`, whose package.json is `manifest`, as published; everything else is `upstream`'s. Resolves with its URL. */
export async function startRegistry(
  context: CleansUp,
  {
    manifest,
    tarball,
    upstream,
  }: {
    readonly manifest: { readonly name: string; readonly version: string };
    readonly tarball: string;
    readonly upstream: string;
  },
): Promise<string> {
  const { name, version } = manifest;
  const bytes = readFileSync(tarball);
  let url = '';
  const server = createServer(async ({ url: path = '/', headers: { accept = '*/*' } }, response) => {
    try {
      if (path === `/${name}`) {
        const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
        const dist = { tarball: `${url}${name}/-/${name}-${version}.tgz`, integrity };
        response.setHeader('Content-Type', 'application/json');
        response.end(
          JSON.stringify({
            name,
            'dist-tags': { latest: version },
            // What a registry finds in a tarball that is published.
            versions: { [version]: { ...manifest, _hasShrinkwrap: true, dist } },
          }),
        );
      } else if (path === `/${name}/-/${name}-${version}.tgz`) {
        response.end(bytes);
      } else {
        const answer = await fetch(new URL(path, upstream), { headers: { accept } });
        response.statusCode = answer.status;
        response.setHeader('Content-Type', answer.headers.get('content-type') ?? 'application/octet-stream');
        response.end(Buffer.from(await answer.arrayBuffer()));
      }
    } catch (error) {
      response.statusCode = 502;
      response.end(String(error));
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return url;
}
