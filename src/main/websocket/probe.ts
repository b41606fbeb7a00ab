import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import type { ListenAddress } from '../../shared/net/listen-address.js';

/**
 * What 0 stands for: far below the ports that systems give away by themselves (Linux from 32,768, others from 49,152). One of
 * those could be gone between this look and the moment when the processes listen; uWebSockets.js cannot share one that it was
 * given for 0.
 */
const FREE_PORTS = [12_000, 20_000] as const;
const TRIES = 100;
/** What says that another port may do. */
const TAKEN: Readonly<Record<string, string>> = {
  EADDRINUSE: 'it is taken by another process',
  EACCES: 'not allowed',
};

/**
 * Resolves with a port that this address can listen on: its own, or a free one for 0. uWebSockets.js shares ports silently, so
 * a second server on a taken one would not notice; this listens for itself alone first. Throws ConfigurationError that
 * names `setting`, address and port.
 */
export async function probePort({ host, port }: ListenAddress, setting: string): Promise<number> {
  for (let tries = 1; ; tries++) {
    const candidate = port === 0 ? randomInt(...FREE_PORTS) : port;
    try {
      await listenAlone(host, candidate);
      return candidate;
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      const anotherMayDo = port === 0 && Object.hasOwn(TAKEN, code);
      if (anotherMayDo && tries < TRIES) continue;
      const why = anotherMayDo ? `none of ${TRIES} is free` : (TAKEN[code] ?? errorMessage(error));
      throw new ConfigurationError([
        `${setting}: cannot listen on port ${port} of ${host ?? 'every address'}: ${why}`,
      ]);
    }
  }
}

/** Listens for a moment. */
async function listenAlone(host: string | undefined, port: number): Promise<void> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, exclusive: true, ...(host === undefined ? {} : { host }) }, resolve);
    });
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}
