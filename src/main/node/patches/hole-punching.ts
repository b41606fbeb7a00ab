/**
 * Hole punching over TCP (DCUtR): two peers that met through a relay open a direct connection through both their routers.
 *
 * A router lets in what answers a packet that it has let out, from the same port. So both dial at once, each from the port that
 * its connection to the relay has, to where the relay sees the other come from.
 *
 * Reason: libp2p's service speaks the protocol, but offers only addresses that are known to be reachable, dials from whatever port is free,
 * and its dial queue drops who of the two is to begin the handshake.
 */

import { createServer } from 'node:net';
import { type DCUtRServiceComponents, dcutr } from '@libp2p/dcutr';
import type {
  Connection,
  ConnectionGater,
  IdentifyResult,
  Libp2pEvents,
  MultiaddrConnection,
  Transport,
  TypedEventTarget,
  Upgrader,
} from '@libp2p/interface';
import { tcp } from '@libp2p/tcp';
import { CODE_P2P, type Multiaddr } from '@multiformats/multiaddr';
import { isRelayed, multiaddrPeerId } from '../addresses/multiaddrs.js';
import { replacing } from './host-internals.js';

/** Addresses of one peer that are tried at once: a stranger names them. */
const MAX_ADDRESSES = 8;
/** The port is taken, or its last connection to the same address is not forgotten yet. */
const PORT_BUSY = /\b(EADDRINUSE|EADDRNOTAVAIL)\b/;

type TcpFactory = ReturnType<typeof tcp>;
type PunchComponents = DCUtRServiceComponents & {
  readonly connectionGater: ConnectionGater;
  readonly events: TypedEventTarget<Libp2pEvents>;
};

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

export class HolePunching {
  /** Where connections to relays, and those that go through routers, start from. */
  readonly #port: number;
  readonly #relays: ReadonlySet<string>;
  /** Connections that start from the port. */
  readonly #bound = new WeakSet<Connection>();
  /** Where the other end sees a connection come from. */
  readonly #seenAs = new WeakMap<Connection, Multiaddr>();

  private constructor(port: number, relays: ReadonlySet<string>) {
    this.#port = port;
    this.#relays = relays;
  }

  /** `relays`: base58 IDs. */
  static async create(relays: ReadonlySet<string>): Promise<HolePunching> {
    return new HolePunching(await freePort(), relays);
  }

  /** The TCP transport; it dials relays from the port. */
  transport(): TcpFactory {
    const create = tcp();
    return (components) => {
      const transport = create(components);
      const dial = transport.dial.bind(transport) as Transport['dial'];
      const dialFromPort: Transport['dial'] = async (address, options) => {
        if ((options as { initiator?: boolean }).initiator === false) {
          return dial(address, { ...options, upgrader: asServer(options.upgrader) });
        }
        if (!this.#relays.has(multiaddrPeerId(address) ?? '')) return dial(address, options);
        try {
          const connection = await dial(address, this.#fromPort(options));
          this.#bound.add(connection);
          return connection;
        } catch (error) {
          // It is more important to reach the relay.
          if (!(error instanceof Error && PORT_BUSY.test(error.message))) throw error;
          return dial(address, options);
        }
      };
      transport.dial = dialFromPort as typeof transport.dial;
      return transport;
    };
  }

  /** What libp2p takes as a service. */
  service(): (components: PunchComponents) => unknown {
    return (components) => {
      const { connectionManager, addressManager } = components;
      components.events.addEventListener('peer:identify', ({ detail }) => this.#see(detail));
      // libp2p's components are no object that could be spread.
      const complemented = replacing<PunchComponents>(components, {
        // Who did not come through a relay has no reason to ask, and would have us dial whomever it names.
        registrar: replacing(components.registrar, {
          handle: (protocol, handler, options) =>
            components.registrar.handle(
              protocol,
              (stream, connection) => {
                if (isRelayed(connection.remoteAddr)) return handler(stream, connection);
                stream.abort(new Error('not asked through a relay'));
              },
              options,
            ),
        }),
        addressManager: replacing(addressManager, {
          getAddresses: () => [...this.#seen(components), ...addressManager.getAddresses()],
        }),
        connectionManager: replacing(connectionManager, {
          openConnection: (target, options = {}) => {
            // Only the dial through both routers has a priority; the other is to a public address.
            return Array.isArray(target) && options.priority !== undefined
              ? this.#punch(components, target, options)
              : connectionManager.openConnection(target, options);
          },
        }),
      });
      return dcutr()(complemented);
    };
  }

  #fromPort<O extends object>(options: O): O {
    return { ...options, localPort: this.#port };
  }

  #see({ connection, observedAddr }: IdentifyResult): void {
    if (observedAddr === undefined || isRelayed(connection.remoteAddr)) return;
    if (this.#relays.has(connection.remotePeer.toString())) this.#seenAs.set(connection, observedAddr);
  }

  #seen({ connectionManager }: PunchComponents): Multiaddr[] {
    const seen = new Map<string, Multiaddr>();
    for (const connection of connectionManager.getConnections()) {
      const address = this.#bound.has(connection) ? this.#seenAs.get(connection) : undefined;
      if (address !== undefined) seen.set(address.toString(), address.decapsulateCode(CODE_P2P));
    }
    return [...seen.values()];
  }

  /** Dials all addresses at once; the first to answer stays. */
  async #punch(
    { transportManager, connectionGater }: PunchComponents,
    addresses: Multiaddr[],
    options: { signal?: AbortSignal; initiator?: boolean },
  ): Promise<Connection> {
    const { initiator = true, signal: outer } = options;
    // One each, and none that outlives the dial: a socket ends whenever the signal that it was dialled with does.
    const dialling = new Set<AbortController>();
    const giveUp = (): void => {
      for (const each of dialling) each.abort();
    };
    outer?.addEventListener('abort', giveUp, { once: true });
    try {
      outer?.throwIfAborted();
      return await Promise.any(
        addresses.slice(0, MAX_ADDRESSES).map(async (address) => {
          const each = new AbortController();
          dialling.add(each);
          if ((await connectionGater.denyDialMultiaddr?.(address)) === true) {
            throw new Error(`${address} may not be dialled`);
          }
          const { signal } = each;
          const connection = await transportManager.dial(address, this.#fromPort({ signal, initiator }));
          if (!signal.aborted) {
            dialling.delete(each);
            giveUp();
          }
          return connection;
        }),
      );
    } finally {
      outer?.removeEventListener('abort', giveUp);
      giveUp();
    }
  }
}

/** The muxer numbers its streams by who dialled: here both did, and one has to be the other. */
function asServer(upgrader: Upgrader): Upgrader {
  return replacing(upgrader, {
    upgradeOutbound: (connection: MultiaddrConnection, options) => {
      (connection as { direction: MultiaddrConnection['direction'] }).direction = 'inbound';
      return upgrader.upgradeOutbound(connection, options);
    },
  });
}
