/** The peers behind `/dnsaddr` names, which TXT records list. */

import { Resolver } from 'node:dns/promises';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { deadlineSignal } from '../../../shared/async/deadline.js';
import { errorMessage } from '../../../shared/errors.js';
import type { Logger } from '../../../shared/logging/logger.js';
import { isDnsaddr, multiaddrHost, multiaddrPeerId } from './multiaddrs.js';

/** All TXT records of a name, each as its joined text. */
export type ResolveTxt = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** A `/dnsaddr` may lead to another; libp2p's public names need two steps. */
const MAX_DEPTH = 4;
/** Addresses taken from one entry of the settings. */
const MAX_RESOLVED = 100;
const RESOLVE_TIMEOUT_MS = 5_000;

const resolveTxtBySystem: ResolveTxt = async (name, signal) => {
  const resolver = new Resolver({ timeout: RESOLVE_TIMEOUT_MS, tries: 1 });
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return (await resolver.resolveTxt(name)).map((pieces) => pieces.join(''));
  } finally {
    signal.removeEventListener('abort', cancel);
  }
};

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
