/** Watches the certificate files. */

import type { Logger } from '../../shared/logging.js';
import { serverFiles, type TlsFiles } from '../../shared/tls-files.js';
import { WatchedPem } from '../../shared/tls-watch.js';

const LOOK_MS = 500;

export class CertificateWatch {
  readonly #pem: WatchedPem;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  /**
   * `changed` is called with a new pair that fits together; a bad one is logged and the old one stays in use. Throws ConfigurationError
   * naming each setting whose file is missing, unreadable or does not fit.
   */
  constructor(
    private readonly components: {
      readonly logger: Logger;
      readonly changed: () => void;
      readonly refused: () => void;
    },
    files: TlsFiles,
  ) {
    this.#pem = new WatchedPem(serverFiles(files));
  }

  start(): void {
    this.#timer = setInterval(() => {
      if (this.#looking) return;
      this.#looking = true;
      this.#look()
        .catch((error: unknown) => this.components.logger.error({ err: error }, 'certificate not reloaded'))
        .finally(() => {
          this.#looking = false;
        });
    }, LOOK_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const found = await this.#pem.look();
    if (found?.outcome === 'refused') {
      const { problems } = found;
      this.components.logger.error({ problems }, 'new certificate refused, the old one stays');
      this.components.refused();
    } else if (found?.outcome === 'reloaded') this.components.changed();
  }
}
