/**
 * How many addresses of one peer are kept.
 *
 * Reason: libp2p's store adds whatever it is told and never counts: a peer that tells new ones with every message would grow its entry,
 * which is read whole and sorted each time, without end.
 */

import type { Address, PeerData, PeerStore } from '@libp2p/interface';

/** Go takes no more from one peer's record. */
const MAX_ADDRESSES = 64;

/** Cuts what is told at once, and what is kept after it: the signed first, then the newest. */
export function boundAddresses(
  peerStore: Pick<PeerStore, 'save' | 'patch' | 'merge'>,
  max = MAX_ADDRESSES,
): void {
  const [save, patch, merge] = [
    peerStore.save.bind(peerStore),
    peerStore.patch.bind(peerStore),
    peerStore.merge.bind(peerStore),
  ];
  peerStore.save = (id, data, options) => save(id, cut(data, max), options);
  peerStore.patch = (id, data, options) => patch(id, cut(data, max), options);
  peerStore.merge = async (id, data, options) => {
    const told = cut(data, max);
    const peer = await merge(id, told, options);
    if (peer.addresses.length <= max) return peer;
    const fresh = new Set(
      [...(told.multiaddrs ?? []), ...(told.addresses ?? []).map(({ multiaddr }) => multiaddr)].map(String),
    );
    const rank = ({ isCertified, multiaddr }: Address): number =>
      isCertified ? 0 : fresh.has(multiaddr.toString()) ? 1 : 2;
    const addresses = [...peer.addresses].sort((a, b) => rank(a) - rank(b)).slice(0, max);
    return patch(id, { addresses }, options);
  };
}

function cut(data: PeerData, max: number): PeerData {
  const { multiaddrs, addresses } = data;
  if ((multiaddrs?.length ?? 0) <= max && (addresses?.length ?? 0) <= max) return data;
  return {
    ...data,
    ...(multiaddrs === undefined ? {} : { multiaddrs: multiaddrs.slice(0, max) }),
    ...(addresses === undefined ? {} : { addresses: addresses.slice(0, max) }),
  };
}
