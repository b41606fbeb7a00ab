/**
 * Inbound gossip streams that GossipSub gives up are reset, not left half open.
 *
 * Reason: the library closes only our half of a stream that it gives up. A peer has one inbound stream; one that opens a second could flood
 * the first, which is read on, while backpressure pauses the second. And after an RPC above the bound the library forgets the peer: the
 * rest of the RPC, of any length, and whatever comes after it, would be read and thrown away outside every budget, and the peer
 * would not know that nobody listens.
 */

import type { PeerId, Stream } from '@libp2p/interface';

/** What GossipSub has and its exported type does not show. */
export interface InboundGossip {
  createInboundStream(peerId: PeerId, stream: Stream): void;
  handlePeerReadStreamError(error: Error, peerId: PeerId): void;
  readonly streamsInbound: ReadonlyMap<string, { readonly rawStream: Stream }>;
}

/** Applies the patch to one GossipSub. A replaced stream is reset unless `drains` takes it upon itself to end it. */
export function resetAbandonedStreams(
  gossip: InboundGossip,
  drains: (peerId: PeerId, replaced: Stream, stream: Stream) => boolean = () => false,
): void {
  const create = gossip.createInboundStream.bind(gossip);
  gossip.createInboundStream = (peerId, stream) => {
    const id = peerId.toString();
    const before = gossip.streamsInbound.get(id)?.rawStream;
    create(peerId, stream);
    if (before === undefined || gossip.streamsInbound.get(id)?.rawStream !== stream) return;
    if (!drains(peerId, before, stream)) {
      before.abort(new Error('the peer has opened another stream'));
    }
  };

  const failed = gossip.handlePeerReadStreamError.bind(gossip);
  gossip.handlePeerReadStreamError = (error, peerId) => {
    const stream = gossip.streamsInbound.get(peerId.toString())?.rawStream;
    failed(error, peerId);
    if (error.name.startsWith('InvalidDataLength')) stream?.abort(error);
  };
}
