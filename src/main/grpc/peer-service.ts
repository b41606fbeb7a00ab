/** PeerService as WIRE §5 has it: who is connected, who is banned, and the operator's word on both. */

import { status as Status } from '@grpc/grpc-js';
import { deadlineSignal } from '../../shared/async/deadline.js';
import { dateOf, libraryTime, wall } from '../../shared/clock.js';
import { AbortedError, errorMessage } from '../../shared/errors.js';
import type { Empty } from '../../shared/generated/google/protobuf/empty.js';
import {
  GetPeersResponse,
  ListBannedResponse,
  type Peer,
  type PeerServiceServer,
} from '../../shared/generated/p2p_api.js';
import { parsePeerId } from '../../shared/net/peer-id.js';
import { type BanList, MAX_REASON_LENGTH } from '../bans/list.js';
import type { BanScores } from '../bans/scores.js';
import { InvalidBanSubjectError, MAX_SUBJECT_LENGTH, parseBanSubject } from '../bans/subject.js';
import type { P2PNode } from '../node/types.js';
import type { PeerRecords } from '../peers/peer-records.js';
import type { ConnectedSnapshot } from '../peers/peer-snapshot.js';
import type { PeerView } from '../peers/peer-view.js';
import type { RegistryClient } from '../peers/service/client.js';
import { createRegistryService } from './registry-service.js';
import { encodeInSlices, SharedAnswer } from './shared-answer.js';
import { type CallContext, CallError, unary } from './unary.js';

export interface PeerServiceComponents extends CallContext {
  readonly node: Pick<P2PNode, 'connect' | 'disconnect'>;
  readonly list: BanList;
  readonly scores: BanScores;
  readonly peers: PeerView;
  readonly records: PeerRecords;
  /** The blockchain service's registry of peers, where there is one. */
  readonly service?: Pick<RegistryClient, 'row' | 'reset' | 'refresh' | 'refreshPeer' | 'pardon'>;
  /**
   * Unix ms.
   * @default wall.date
   */
  readonly clock?: () => number;
}

export interface PeerServiceOptions {
  /** p2p_ban_duration in milliseconds: how long a ban with `until` 0 lasts. */
  readonly banDurationMs: number;
  /** Base58 IDs of bootstrap peers, which GetPeers leaves out. */
  readonly bootstrapPeers: Pick<ReadonlySet<string>, 'has'>;
}

/** Unix seconds. Whoever says milliseconds means a time thousands of years away. */
const YEAR_3000 = BigInt(Date.UTC(3000, 0) / 1000);
const MAX_MULTIADDR_LENGTH = 1024;
const CONNECT_MS = 15_000;
/** Past it a message is not encoded at all. */
const MAX_INT64 = 2n ** 63n - 1n;

/** The handlers for a gRPC server. */
export function createPeerService(
  components: PeerServiceComponents,
  options: PeerServiceOptions,
): PeerServiceServer {
  const { node, list, scores, peers, service } = components;
  const now = components.clock ?? wall.date;
  const { bootstrapPeers } = options;

  const endOf = (until: bigint): number => {
    if (until === 0n) return now() + options.banDurationMs;
    if (until * 1000n <= BigInt(Math.floor(now()))) throw new RangeError('until: is in the past');
    if (until >= YEAR_3000) {
      throw new RangeError('until: is beyond the year 3000; it is told in unix seconds, not milliseconds');
    }
    return Number(until) * 1000;
  };

  const connected = new SharedAnswer(() => {
    const listed = peers.connected().filter(({ id }) => !bootstrapPeers.has(id));
    return encodeInSlices(listed, (slice) =>
      GetPeersResponse.encode({ peers: slice.map((peer) => toPeer(peer, libraryTime())) }).finish(),
    );
  });
  const banned = new SharedAnswer(() =>
    encodeInSlices(list.list(), (slice) =>
      ListBannedResponse.encode({
        banned: slice.map(({ key }) => key),
        peers: slice.map(({ peer = '' }) => peer),
        until: slice.map(({ until }) => seconds(until)),
        reasons: slice.map(({ reason = '' }) => reason),
        // The blockchain service bans by score as well.
        by_score: slice.map(({ origin }) => origin !== 'operator'),
      }).finish(),
    ),
  );

  return {
    ...createRegistryService(components),
    getPeers: unary<Empty, GetPeersResponse>(components, 'GetPeers', {
      admin: false,
      answer: (_: Empty) => connected.get(),
    }),
    banPeer: unary(components, 'BanPeer', {
      admin: true,
      async answer({ addr, until, reason }) {
        if (reason.length > MAX_REASON_LENGTH) throw new RangeError('reason: is too long');
        await list.add(addr, endOf(until), 'operator', { reason });
        return { ok: true };
      },
    }),
    unbanPeer: unary(components, 'UnbanPeer', {
      admin: true,
      async answer({ addr }) {
        const { kind, key } = parseBanSubject(addr);
        // Before it is let in: else the next look at the service's bans would ban it again.
        const bannedThere = kind === 'peer' && service?.pardon(key) === true;
        const { removed, stillBannedBy, addresses, bannedPeer } = await list.remove(addr);
        if (stillBannedBy !== undefined) {
          const own = removed ? 'its own ban is removed, but it' : 'it';
          throw new CallError(
            Status.FAILED_PRECONDITION,
            `${own} stays banned by ${stillBannedBy}; unban that`,
          );
        }
        // As the Go service: what was not banned is not banned now either.
        return { ok: true, message: besides(addresses, bannedPeer, bannedThere) };
      },
    }),
    isBanned: unary(components, 'IsBanned', {
      admin: false,
      // As Go: nonsense is banned by nobody.
      answer: ({ ipOrSubnet }) => ({ isBanned: isBanned(list, ipOrSubnet) }),
    }),
    listBanned: unary<Empty, ListBannedResponse>(components, 'ListBanned', {
      admin: false,
      answer: (_: Empty) => banned.get(),
    }),
    clearBanned: unary(components, 'ClearBanned', {
      admin: true,
      async answer(_: Empty) {
        await list.clear();
        return { ok: true };
      },
    }),
    addBanScore: unary(components, 'AddBanScore', {
      admin: true,
      answer({ peer_id, reason }) {
        if (reason === '') throw new RangeError('reason: is empty');
        if (reason.length > MAX_SUBJECT_LENGTH) throw new RangeError('reason: is too long');
        scores.add(peer_id, reason);
        return { ok: true };
      },
    }),
    connectPeer: unary(components, 'ConnectPeer', {
      admin: true,
      async answer({ peer_address }, signal) {
        if (peer_address === '') throw new RangeError('peer_address: is empty');
        if (peer_address.length > MAX_MULTIADDR_LENGTH) throw new RangeError('peer_address: is too long');
        try {
          await node.connect(peer_address, deadlineSignal(CONNECT_MS, signal));
          return { success: true, error: '' };
        } catch (error) {
          if (error instanceof RangeError) throw error;
          if (signal.aborted) throw new AbortedError('given up');
          return { success: false, error: errorMessage(error) };
        }
      },
    }),
    disconnectPeer: unary(components, 'DisconnectPeer', {
      admin: true,
      async answer({ peer_id }) {
        const peerId = parsePeerId(peer_id);
        if (peerId === undefined) throw new InvalidBanSubjectError('peer_id: not a peer ID');
        return (await node.disconnect(peerId))
          ? { success: true, error: '' }
          : { success: false, error: 'not connected' };
      },
    }),
  };
}

function isBanned(list: BanList, text: string): boolean {
  try {
    return list.isBanned(text);
  } catch (error) {
    if (error instanceof InvalidBanSubjectError) return false;
    throw error;
  }
}

/** What an unbanning did, or did not do, to others than who was named. */
function besides(addresses: readonly string[], bannedPeer: string | undefined, bannedThere: boolean): string {
  if (bannedPeer !== undefined) return `its peer ${bannedPeer} stays banned`;
  const besides = addresses.length === 0 ? [] : [`with it ${addresses.join(', ')}`];
  if (bannedThere)
    besides.push('the peer registry of the blockchain service still bans it, for the other services');
  return besides.join('; ');
}

const atMost = (value: bigint, limit: bigint): bigint => (value < limit ? value : limit);
const seconds = (ms: number): bigint => BigInt(Math.floor(ms / 1000));

/** What a libp2p node does not know of a peer stays at its zero: services, time offset, fee filter and the like. */
function toPeer({ connection, known, banScore }: ConnectedSnapshot, now: number): Peer {
  const connectedMs = BigInt(Math.max(1000, Math.floor(now - connection.connectedAt)));
  return {
    id: connection.id,
    addr: connection.address,
    addrLocal: '',
    services: '',
    lastSend: seconds(connection.lastSend),
    lastRecv: seconds(connection.lastReceive),
    sendSize: 0n,
    recvSize: 0n,
    sendMemory: 0n,
    pauseSend: false,
    unpauseSend: false,
    bytesSent: connection.bytesSent,
    bytesReceived: connection.bytesReceived,
    avgRecvBandwidth: atMost((connection.bytesReceived * 1000n) / connectedMs, MAX_INT64),
    assocId: '',
    streamPolicy: '',
    inbound: connection.inbound,
    connTime: seconds(dateOf(connection.connectedAt, now)),
    pingTime: BigInt(Math.round((connection.pingMs ?? 0) * 1000)),
    timeOffset: 0n,
    version: 0,
    subVer: connection.agent,
    startingHeight: known?.startingHeight ?? 0,
    currentHeight: known?.height ?? 0,
    banscore: banScore,
    whitelisted: connection.trusted,
    feeFilter: 0n,
  };
}
