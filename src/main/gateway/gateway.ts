/** A gateway: notification servers alone, fed by the notifications topic. No libp2p, no outbox, no identity. */

import type { Foundation } from '../life/foundation.js';
import { Life, type LifeOptions } from '../life/life.js';
import type { GatewayDependencies } from './dependencies.js';
import { createGatewayParts } from './parts.js';
import { refuseGatewayProblems } from './problems.js';

export class Gateway extends Life {
  /** Touches neither network nor disk. Throws ConfigurationError with every problem of the settings that a gateway reads. */
  static create(dependencies: GatewayDependencies, options: LifeOptions = {}): Gateway {
    const { settings } = dependencies;
    refuseGatewayProblems(settings);
    const foundation: Foundation = {
      name: 'gateway',
      waitsFor: 'DATADIR, which another server has',
      tellsEveryStop: true,
      open: async () => settings.p2p_gateway_node,
      build: (components) => createGatewayParts(dependencies, components, options),
    };
    return new Gateway(dependencies, foundation, options);
  }
}
