import { createServer } from 'node:net';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import type { ListenAddress } from '../../shared/listen-address.js';

/**
 * Resolves with a port that this address can listen on: its own, or a free one for 0. uWebSockets.js shares ports silently, so
 * a second server on a taken one would not notice; this listens for itself alone first. Throws ConfigurationError that
 * names `setting`, address and port.
 */
export async function probePort({ host, port }: ListenAddress, setting: string): Promise<number> {
  const server = createServer();
  try {
    return await new Promise<number>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port, exclusive: true, ...(host === undefined ? {} : { host }) }, () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why =
      code === 'EADDRINUSE'
        ? 'it is taken by another process'
        : code === 'EACCES'
          ? 'not allowed'
          : errorMessage(error);
    throw new ConfigurationError([
      `${setting}: cannot listen on port ${port} of ${host ?? 'every address'}: ${why}`,
    ]);
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}
