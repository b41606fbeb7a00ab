/** Watches the certificate files. */

import { stat } from 'node:fs/promises';
import type { Logger } from '../../shared/logging.js';
import { checkTlsFiles, type TlsFiles } from '../../shared/tls-files.js';

const LOOK_MS = 500;

async function signature(path: string): Promise<string> {
  try {
    // Through links: certificates are often renewed by pointing a link elsewhere.
    const { mtimeMs, size, ino } = await stat(path);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return 'missing';
  }
}

export class CertificateWatch {
  #used = '';
  #seen = '';
  #timer: NodeJS.Timeout | undefined;
  #looking = false;

  /** `changed` is called with a new pair that fits together; a bad one is logged and the old one stays in use. */
  constructor(
    private readonly components: {
      readonly logger: Logger;
      readonly changed: () => void;
      readonly refused: () => void;
    },
    private readonly files: TlsFiles,
  ) {}

  async start(): Promise<void> {
    this.#used = await this.#signature();
    this.#seen = this.#used;
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
    const now = await this.#signature();
    // Two equal looks in a row: certificate and key are not written in one moment.
    const settled = now === this.#seen;
    this.#seen = now;
    if (!settled || now === this.#used) return;
    this.#used = now;
    try {
      checkTlsFiles(this.files);
    } catch (error) {
      this.components.logger.error({ err: error }, 'new certificate refused, the old one stays');
      this.components.refused();
      return;
    }
    this.components.changed();
  }

  async #signature(): Promise<string> {
    return `${await signature(this.files.certFile)} | ${await signature(this.files.keyFile)}`;
  }
}
