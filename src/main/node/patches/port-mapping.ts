/**
 * Port mapping (UPnP): asks the router to pass on what comes in, keeps asking while the node runs, and takes it back at stop.
 *
 * Reason: the library names no protocol when it takes a mapping back, and routers refuse that: the port would stay open. Where the router
 * gave another port than was asked for, it would also renew and take back the one asked for.
 */

import { type UPnPNATComponents, uPnPNAT } from '@libp2p/upnp-nat';
import type { Patches } from './index.js';
import { guardDiscovery } from './router-discovery.js';

interface Mapping {
  readonly internalClient: string;
  readonly protocol: string;
  /** What the router is asked for, also when the mapping is renewed. */
  externalPort: string;
  readonly refreshTimeout?: NodeJS.Timeout;
}

/** What this reads of a gateway of `@achingbrain/nat-port-mapper`. */
interface GatewayInternals {
  readonly mappings: Map<number, Mapping[]>;
  map(localPort: number, localHost: string, options?: object): Promise<{ readonly externalPort: number }>;
  getGateway(options?: object): Promise<{
    run(
      service: string,
      action: string,
      args: [string, string | number][],
      options?: object,
    ): Promise<unknown>;
  }>;
  unmap(localPort: number, options?: object): Promise<void>;
}

const WAN_IP_CONNECTION = 'urn:schemas-upnp-org:service:WANIPConnection:2';

function holdToWhatWasGiven(gateway: GatewayInternals): void {
  const map = gateway.map.bind(gateway);
  gateway.map = async (localPort, localHost, options) => {
    const given = await map(localPort, localHost, options);
    for (const mapping of gateway.mappings.get(localPort) ?? []) {
      if (mapping.internalClient === localHost) mapping.externalPort = String(given.externalPort);
    }
    return given;
  };
  gateway.unmap = async (localPort, options) => {
    const mappings = gateway.mappings.get(localPort) ?? [];
    for (const { refreshTimeout } of mappings) clearTimeout(refreshTimeout);
    gateway.mappings.delete(localPort);
    const router = await gateway.getGateway(options);
    for (const { protocol, externalPort } of mappings) {
      await router.run(
        WAN_IP_CONNECTION,
        'DeletePortMapping',
        [
          ['NewRemoteHost', ''],
          ['NewExternalPort', externalPort],
          ['NewProtocol', protocol],
        ],
        options,
      );
    }
  };
}

/** What libp2p takes as a service. The router is believed about the address it gives: nobody dials back here to check. */
export function portMapping(
  patches: Pick<Patches, 'portMapping' | 'routerDiscovery'>,
): (components: UPnPNATComponents) => unknown {
  const create = uPnPNAT({ autoConfirmAddress: true });
  return (components) => {
    const service = create(components) as {
      portMappingClient: { findGateways(options?: object): AsyncIterable<object> };
    };
    const client = service.portMappingClient;
    const findGateways = client.findGateways.bind(client);
    client.findGateways = async function* (options) {
      if (patches.routerDiscovery) await guardDiscovery();
      for await (const gateway of findGateways(options)) {
        if (patches.portMapping) holdToWhatWasGiven(gateway as GatewayInternals);
        yield gateway;
      }
    };
    return service;
  };
}
