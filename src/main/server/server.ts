/** The P2P server. */

import { Life, type LifePorts } from '../life/life.js';
import { refuseProblems } from '../preflight/settings.js';
import type { ServerDependencies, ServerOptions } from './dependencies.js';
import { ServerFoundation } from './foundation.js';
import type { ServerParts } from './parts.js';

/** Ports that were bound, also where the settings said 0; undefined for what is off. */
export interface ServerPorts extends LifePorts {
  readonly p2p: number | undefined;
  readonly grpc: number | undefined;
}

export class P2PServer extends Life {
  readonly #foundation: ServerFoundation;

  /**
   * Checks the settings and builds what can be built without touching network or disk. Throws ConfigurationError with every
   * problem, each naming its setting.
   */
  static create(dependencies: ServerDependencies, options: ServerOptions = {}): P2PServer {
    refuseProblems(dependencies.settings, options.origin);
    return new P2PServer(dependencies, new ServerFoundation(dependencies, options), options);
  }

  private constructor(
    dependencies: ServerDependencies,
    foundation: ServerFoundation,
    options: ServerOptions,
  ) {
    super(dependencies, foundation, options);
    this.#foundation = foundation;
  }

  /** Base58; empty before `init`. */
  get peerId(): string {
    return this.#foundation.peerId ?? '';
  }

  override get ports(): ServerPorts {
    return { p2p: undefined, grpc: undefined, ...super.ports };
  }

  /** The parts, for who drives the server from within its process: tests and benchmarks. Throws before `init`. */
  get parts(): ServerParts {
    const { parts } = this.#foundation;
    if (parts === undefined) throw new Error('the server is not initialised');
    return parts;
  }
}
