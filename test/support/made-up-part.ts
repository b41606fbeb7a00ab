/** A part that the product does not know: a port that answers and counts, until it is told to be ill. */

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Counter } from 'prom-client';
import type { PartContext } from '../../src/shared/lifecycle/context.js';
import type { Part } from '../../src/shared/lifecycle/part.js';

export function createBeacon({ registry }: PartContext): Part {
  const answers = new Counter({ name: 'beacon_answers_total', help: 'Answers.', registers: [registry] });
  let isIll = false;
  const server = createServer(({ url }, response) => {
    answers.inc();
    if (url === '/ill') isIll = true;
    response.end('here');
  });
  return {
    name: 'beacon',
    start: () => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve)),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
    health: [
      {
        resource: 'beacon',
        check: async () =>
          isIll
            ? { resource: 'beacon', status: 503, error: 'it does not shine', message: 'dark' }
            : { resource: 'beacon', status: 200, message: 'shines' },
      },
    ],
    vitals: [{ resource: 'beacon', fault: () => undefined }],
    // As a thread or process of its own would answer.
    metrics: () => [
      {
        name: 'beacon',
        collect: async () => ({
          instance: 1,
          metrics: [
            {
              name: 'beacon_flashes_total',
              help: 'Flashes.',
              type: 'counter',
              aggregator: 'sum',
              values: [{ value: 3, labels: {} }],
            },
          ],
        }),
      },
    ],
    ports: () => ({ beacon: (server.address() as AddressInfo | null)?.port }),
  };
}
