/** A data hub of a peer: a real HTTP server on loopback that answers as a test tells it. */

import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { DataHubUrl } from '../../src/shared/messages/data-hub-url.js';

export interface DataHub {
  /** `http://<host>:<port>/api/v1`. */
  readonly url: DataHubUrl;
  readonly port: number;
  /** Paths asked for, in order. */
  readonly asked: string[];
  /** Connections accepted. */
  connections: number;
  /** How it answers; a best block header unless told. */
  answer: RequestListener;
}

/** A listening hub, closed when the test ends. */
export async function startDataHub(
  context: { after(fn: () => void): void },
  answer: RequestListener = (_, response) => void response.end(Buffer.alloc(80)),
  host = '127.0.0.1',
): Promise<DataHub> {
  const server = createServer((request, response) => {
    hub.asked.push(request.url ?? '');
    hub.answer(request, response);
  });
  server.on('connection', () => {
    hub.connections++;
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const hub: DataHub = {
    url: `http://${host}:${port}/api/v1` as DataHubUrl,
    port,
    asked: [],
    connections: 0,
    answer,
  };
  return hub;
}
