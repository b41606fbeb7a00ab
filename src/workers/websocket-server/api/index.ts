/** The history over HTTP: pages of it, and its archive. */

import { Archive } from '../../../shared/archive/archive.js';
import type { CursorScheme } from '../../../shared/firehose/cursor-scheme.js';
import { History } from '../../../shared/firehose/history.js';
import { type ConnectionLimits, trustedSources } from '../../../shared/net/connection-ledger.js';
import type { Resource } from '../http/resource.js';
import { Pages, type PagesComponents } from './pages.js';
import { segmentListResource, segmentResource } from './segments.js';
import { Transfers } from './transfers.js';

export interface HistoryApiOptions {
  /** How consumers are told where they are. */
  readonly scheme: CursorScheme;
  readonly limits: ConnectionLimits;
}

export class HistoryApi {
  readonly resources: readonly Resource[];
  readonly #pages: Pages;
  readonly #transfers: Transfers;
  #archive: Archive | undefined;
  #origin = '';

  constructor(
    components: PagesComponents,
    private readonly options: HistoryApiOptions,
  ) {
    const trusted = trustedSources(options.limits.trusted);
    this.#pages = new Pages(components, trusted);
    this.#transfers = new Transfers(components, trusted);
    const archive = { ...components, archive: () => this.#archive, transfers: this.#transfers };
    this.resources = [this.#pages.resource(), segmentListResource(archive), segmentResource(archive)];
  }

  /** Descriptors in use: of connections, and of the files that are sent. */
  get size(): number {
    return this.#pages.size + 2 * this.#transfers.size;
  }

  /** The journal is in this directory, and goes on in this epoch. */
  journal(directory: string, epoch: string): void {
    const origin = `${epoch} ${directory}`;
    if (origin === this.#origin) return;
    this.#origin = origin;
    const { scheme } = this.options;
    this.#pages.use(() => new History({ directory, scheme }));
    this.#archive = new Archive({ directory });
  }

  stop(): void {
    this.#pages.use(undefined);
  }
}
