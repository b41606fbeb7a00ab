/**
 * A message without a verdict is given to nobody who asks for it by its id.
 *
 * Reason: IWANT is answered from a cache in which messages lie from their arrival on, whatever becomes of them.
 */

import type { RPC } from '@chainsafe/libp2p-gossipsub/message';

/** What GossipSub has and its exported type does not show. */
export interface AnsweringGossip {
  readonly mcache: {
    readonly msgs: ReadonlyMap<string, { readonly validated: boolean }>;
    getWithIWantCount(
      id: string,
      peerId: string,
    ): { readonly msg: RPC.Message; readonly count: number } | null;
  };
}

/** Applies the patch to one GossipSub. */
export function keepUncheckedMessages(gossip: AnsweringGossip): void {
  const { mcache } = gossip;
  const wanted = mcache.getWithIWantCount.bind(mcache);
  mcache.getWithIWantCount = (id, peerId) =>
    mcache.msgs.get(id)?.validated === true ? wanted(id, peerId) : null;
}
