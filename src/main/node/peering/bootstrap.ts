/** Peers that the operator wrote down: bootstrap, static and relay peers, and the TXT records behind `/dnsaddr` names. */

import { Resolver } from 'node:dns/promises';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { ConfigurationError, errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import type { SettingKey, Settings } from '../../../shared/settings/table.js';
import { multiaddrHost, multiaddrPeerId } from '../addresses/multiaddrs.js';

/** All TXT records of a name, each as its joined text. */
export type ResolveTxt = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** A `/dnsaddr` may lead to another; libp2p's public names need two steps. */
const MAX_DEPTH = 4;
/** Addresses taken from one entry of the settings. */
const MAX_RESOLVED = 100;
const RESOLVE_TIMEOUT_MS = 5_000;

export const resolveTxtBySystem: ResolveTxt = async (name, signal) => {
  const resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 1 });
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return (await resolver.resolveTxt(name)).map((pieces) => pieces.join(''));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
};

function isDnsaddr(address: Multiaddr): boolean {
  return address.getComponents()[0]?.name === 'dnsaddr';
}

function checked(key: SettingKey, entries: readonly string[]): string[] {
  const problems: string[] = [];
  const addresses = new Set<string>();
  for (const entry of entries) {
    const text = entry.trim();
    if (text === '') continue;
    try {
      const address = multiaddr(text);
      if (multiaddrHost(address) === undefined) throw new RangeError('begins with no address or host name');
      if (multiaddrPeerId(address) === undefined && !isDnsaddr(address)) {
        throw new RangeError('does not end in /p2p/<peer ID>');
      }
      addresses.add(address.toString());
    } catch (error) {
      problems.push(`${key}: ${JSON.stringify(entry)}: ${errorMessage(error)}`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
  return [...addresses];
}

/** `p2p_static_peers`, checked. Throws ConfigurationError naming each bad entry. */
export function staticPeerAddresses(settings: Pick<Settings, 'p2p_static_peers'>): string[] {
  return checked('p2p_static_peers', settings.p2p_static_peers);
}

type BootstrapSettings = Pick<Settings, 'p2p_generation' | 'p2p_bootstrap_peers' | 'p2p_bootstrapAddresses'>;

/** The bootstrap peers of the generation, checked. Throws ConfigurationError naming each bad entry. */
export function bootstrapPeerAddresses(settings: BootstrapSettings): string[] {
  const older = settings.p2p_generation === 'first' ? settings.p2p_bootstrapAddresses : [];
  return [
    ...new Set([
      ...checked('p2p_bootstrap_peers', settings.p2p_bootstrap_peers),
      ...checked('p2p_bootstrapAddresses', older),
    ]),
  ];
}

/** Base58 IDs of `p2p_bootstrapAddresses`, which GetPeers leaves out in both generations. Throws ConfigurationError naming each bad entry. */
export function olderBootstrapIds(settings: Pick<Settings, 'p2p_bootstrapAddresses'>): ReadonlySet<string> {
  return namedPeerIds(checked('p2p_bootstrapAddresses', settings.p2p_bootstrapAddresses));
}

/** `p2p_relay_peers`, else the bootstrap peers, checked. Throws ConfigurationError naming each bad entry. */
export function relayPeerAddresses(
  settings: BootstrapSettings & Pick<Settings, 'p2p_relay_peers'>,
): string[] {
  const relays = checked('p2p_relay_peers', settings.p2p_relay_peers);
  return relays.length > 0 ? relays : bootstrapPeerAddresses(settings);
}

/** Base58 IDs named in the addresses. What a `/dnsaddr` leads to is known only once resolved. */
export function namedPeerIds(addresses: readonly string[]): ReadonlySet<string> {
  return new Set(addresses.flatMap((text) => multiaddrPeerId(multiaddr(text)) ?? []));
}

export interface ResolveOptions {
  /** The system's resolver unless given. */
  readonly resolveTxt?: ResolveTxt;
  /** Entries that did not resolve the last time, kept here from one time to the next. */
  readonly unresolved?: Set<string>;
}

async function resolveOne(
  address: Multiaddr,
  resolveTxt: ResolveTxt,
  signal: AbortSignal,
  depth: number,
): Promise<Multiaddr[]> {
  if (!isDnsaddr(address)) return [address];
  if (depth === MAX_DEPTH) throw new RangeError(`more than ${MAX_DEPTH} /dnsaddr steps`);
  const host = multiaddrHost(address);
  if (host?.kind !== 'dns') return [];
  const wanted = multiaddrPeerId(address);
  const found: Multiaddr[] = [];
  let failure: unknown;
  for (const record of await resolveTxt(`_dnsaddr.${host.name}`, signal)) {
    const text = /^\s*dnsaddr=(\S+)\s*$/.exec(record)?.[1];
    if (text === undefined || found.length >= MAX_RESOLVED) continue;
    let next: Multiaddr;
    try {
      next = multiaddr(text);
    } catch {
      continue;
    }
    if (wanted !== undefined && multiaddrPeerId(next) !== wanted) continue;
    try {
      found.push(...(await resolveOne(next, resolveTxt, signal, depth + 1)));
    } catch (error) {
      // Of several names one may be out of order.
      failure = error;
      if (signal.aborted) break;
    }
  }
  if (found.length === 0 && failure !== undefined) throw failure;
  return found.slice(0, MAX_RESOLVED);
}

/**
 * Addresses by base58 peer ID, with `/dnsaddr` entries resolved. An entry that does not resolve, or leads to no peer, is left out, with a
 * warning unless it was so the last time: it may be otherwise the next time.
 */
export async function resolvePeers(
  addresses: readonly string[],
  options: ResolveOptions & { readonly logger: Logger; readonly signal?: AbortSignal },
): Promise<Map<string, Multiaddr[]>> {
  const { logger, resolveTxt = resolveTxtBySystem, unresolved = new Set() } = options;
  const signal = deadlineSignal(RESOLVE_TIMEOUT_MS * 2, options.signal);
  const peers = new Map<string, Multiaddr[]>();
  const resolved = await Promise.all(
    addresses.map(async (text) => {
      try {
        const found = await resolveOne(multiaddr(text), resolveTxt, signal, 0);
        if (!found.some(multiaddrPeerId)) throw new Error('there is no peer behind it');
        if (unresolved.delete(text)) logger.info({ address: text }, 'peer address resolves again');
        return found;
      } catch (error) {
        if (options.signal?.aborted) return [];
        const level = unresolved.has(text) ? 'debug' : 'warn';
        unresolved.add(text);
        logger[level]({ address: text, error: errorMessage(error) }, 'peer address does not resolve');
        return [];
      }
    }),
  );
  for (const address of resolved.flat()) {
    const id = multiaddrPeerId(address);
    if (id === undefined) continue;
    const known = peers.get(id) ?? [];
    if (!known.some((other) => other.equals(address))) known.push(address);
    peers.set(id, known);
  }
  return peers;
}
