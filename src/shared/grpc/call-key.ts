/** The key that calls carry, and what is said where a service refuses it. */

import { Metadata, status as Status } from '@grpc/grpc-js';
import { AbortedError } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import { withoutThese } from '../redaction.js';
import type { Secrets } from '../secrets/secrets.js';
import type { Settings } from '../settings/table.js';
import { RpcError } from './call-errors.js';
import type { NeighbourMetrics } from './neighbour-metrics.js';

interface CallKeyComponents {
  readonly settings: Pick<Settings, 'grpc_admin_api_key'>;
  readonly logger: Logger;
  /** The key, where it is in a file that is watched; without it, that of the settings. */
  readonly secrets?: Pick<Secrets, 'apiKey' | 'apiKeys'> | undefined;
  readonly metrics?: NeighbourMetrics;
}

/** Whose calls. */
interface CalledService {
  readonly service: string;
  /** As the settings have it. */
  readonly address: string;
  /** The setting that has the address. */
  readonly setting: string;
}

const REFUSALS: ReadonlySet<number> = new Set([Status.UNAUTHENTICATED, Status.PERMISSION_DENIED]);

/** Between two lines of the log about a key that is refused. */
const REFUSAL_TOLD_MS = 600_000;

/** The service wants another key, or any. */
export class KeyRefusedError extends RpcError {}

export class CallKey {
  readonly #components: CallKeyComponents;
  readonly #called: CalledService;
  #refusalTold = Number.NEGATIVE_INFINITY;

  constructor(components: CallKeyComponents, called: CalledService) {
    this.#components = components;
    this.#called = called;
  }

  /** Made for each call: the key may have changed. */
  metadata(): Metadata {
    const metadata = new Metadata();
    const { settings, secrets } = this.#components;
    const key = secrets?.apiKey ?? settings.grpc_admin_api_key;
    if (key !== '') metadata.set('x-api-key', key);
    return metadata;
  }

  /** With the address as the settings have it, and the setting where that is at fault. `metadata`: of the call. */
  explained(error: unknown, metadata: Metadata): unknown {
    if (!(error instanceof Error) || error instanceof AbortedError) return error;
    const { service, address, setting } = this.#called;
    const { settings, secrets } = this.#components;
    const keys = secrets?.apiKeys ?? [settings.grpc_admin_api_key].filter((key) => key !== '');
    // A service may say which key it was: one that is in use no more, too, where its file has changed since.
    const quotable = [...keys, ...metadata.get('x-api-key').map(String)];
    const answer = withoutThese(error.message, quotable);
    const refused = error instanceof RpcError && REFUSALS.has(error.code);
    if (!refused) {
      if (answer !== error.message) error.stack = withoutThese(error.stack ?? '', quotable);
      error.message = `${address}: ${answer}`;
      return error;
    }
    const { code, codeName } = error;
    this.#components.metrics?.refused.inc({ service });
    const wants = keys.length === 0 ? 'wants a key, and none is set' : 'refuses the key';
    const message = `grpc_admin_api_key: ${address} (${setting}) ${wants}: ${answer}`;
    if (performance.now() - this.#refusalTold >= REFUSAL_TOLD_MS) {
      this.#refusalTold = performance.now();
      this.#components.logger.error({ service, reason: message }, 'a service refuses our calls');
    }
    return new KeyRefusedError(message, code, codeName);
  }
}
