/** Which addresses are dialled: what a multiaddr leads to, and whether it is allowed. Bans are the gater's. */

import { lookup } from 'node:dns/promises';
import type { MultiaddrConnection } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import pTimeout from 'p-timeout';
import { AddressList, canonicalIp, isPrivateAddress, isReservedAddress } from '../../../shared/net/ip.js';
import { bootstrapMultiaddrs } from '../../../shared/settings/generations.js';
import type { Settings } from '../../../shared/settings/table.js';
import { multiaddrHost } from '../addresses/multiaddrs.js';
import type { RefusalReason } from '../metrics/periphery-metrics.js';
import { socketOf } from '../patches/host-internals.js';

export type DialSettings = Pick<
  Settings,
  | 'p2p_allow_private_ips'
  | 'p2p_refuse_reserved_addresses'
  | 'p2p_allowed_addresses'
  | 'p2p_static_peers'
  | 'p2p_generation'
  | 'p2p_bootstrap_peers'
  | 'p2p_bootstrapAddresses'
  | 'p2p_relay_peers'
>;

/** All addresses of a host name. */
export type ResolveHost = (name: string, family: 0 | 4 | 6) => Promise<readonly string[]>;

/** An IP address in canonical form, and the name or address that led to it. */
export interface DialledAddress extends Record<string, string> {
  readonly address: string;
  readonly host: string;
}

/** A resolver that is slower than this decides nothing; the address is judged again once connected. */
const RESOLVE_TIMEOUT_MS = 2_000;

async function resolveBySystem(name: string, family: 0 | 4 | 6): Promise<readonly string[]> {
  const answers = await lookup(name, { all: true, family });
  return answers.map(({ address }) => address);
}

/** Hosts that the operator wrote down: private or not, they may be dialled. */
function configuredHosts(settings: DialSettings): ReadonlySet<string> {
  const hosts = new Set<string>();
  for (const text of [
    ...settings.p2p_static_peers,
    ...bootstrapMultiaddrs(settings),
    ...settings.p2p_relay_peers,
  ]) {
    const host = multiaddrHost(multiaddr(text));
    if (host !== undefined) hosts.add(host.kind === 'ip' ? host.address : host.name);
  }
  return hosts;
}

/**
 * Whether a multiaddr names neither a host nor, as a relayed one may, a peer: strangers may tell us of `/unix/<path>`, and
 * libp2p's TCP transport would connect to that socket of this machine.
 */
export function leadsNowhere(address: Multiaddr): boolean {
  return multiaddrHost(address) === undefined && address.getComponents()[0]?.name !== 'p2p';
}

/**
 * The address at the other end of the socket. A dialled name is resolved again by the operating system, perhaps to something else
 * than was judged.
 */
function socketAddress(connection: MultiaddrConnection): string | undefined {
  const remote = socketOf(connection)?.remoteAddress;
  return typeof remote === 'string' ? canonicalIp(remote) : undefined;
}

export class DialledAddresses {
  readonly #allowPrivate: boolean;
  readonly #refuseReserved: boolean;
  readonly #exempt: AddressList;
  readonly #configured: ReadonlySet<string>;
  readonly #resolve: ResolveHost;
  /** What names that the operator wrote down were last seen to mean. */
  readonly #configuredAddresses = new Map<string, ReadonlySet<string>>();

  constructor(settings: DialSettings, resolve: ResolveHost = resolveBySystem) {
    this.#allowPrivate = settings.p2p_allow_private_ips;
    this.#refuseReserved = settings.p2p_refuse_reserved_addresses;
    this.#exempt = new AddressList(settings.p2p_allowed_addresses);
    this.#configured = configuredHosts(settings);
    this.#resolve = resolve;
  }

  /** Where a multiaddr leads, its name resolved; nowhere when the resolver does not answer in time. */
  async addressesOf(target: Multiaddr): Promise<readonly DialledAddress[]> {
    const host = multiaddrHost(target);
    if (host === undefined) return [];
    if (host.kind === 'ip') return [{ address: host.address, host: host.address }];
    const { name } = host;
    const answers = await pTimeout(
      this.#resolve(name, host.family).catch(() => []),
      { milliseconds: RESOLVE_TIMEOUT_MS, fallback: () => [] },
    );
    const addresses = answers.map((answer) => canonicalIp(answer) ?? answer);
    if (this.#configured.has(name) && addresses.length > 0) {
      this.#configuredAddresses.set(name, new Set(addresses));
    }
    return addresses.map((address) => ({ address, host: name }));
  }

  /** Where a connection to a name has led; undefined for one to an address, which was judged before. */
  connectedTo(connection: MultiaddrConnection): DialledAddress | undefined {
    const host = multiaddrHost(connection.remoteAddr);
    const address = host?.kind === 'dns' ? socketAddress(connection) : undefined;
    return host?.kind === 'dns' && address !== undefined ? { address, host: host.name } : undefined;
  }

  /** Whether it is, or a name of it was last seen to mean, an address of a peer that the operator wrote down. */
  isConfigured(address: string): boolean {
    return (
      this.#configured.has(address) ||
      [...this.#configuredAddresses.values()].some((addresses) => addresses.has(address))
    );
  }

  /** Why it is never dialled, unless the operator named it; undefined where it may be. */
  forbidden({ address, host }: DialledAddress): RefusalReason | undefined {
    if (this.#configured.has(host) || this.#exempt.has(address)) return undefined;
    if (!this.#allowPrivate && isPrivateAddress(address)) return 'private_address';
    return this.#refuseReserved && isReservedAddress(address) ? 'reserved_address' : undefined;
  }
}
