/**
 * Every reach into a library past its doors, each a file of this folder named as its row here: `gossipStreams` is gossip-streams.ts. Why
 * and how is at the top of the file; a row says it in a line, what is so without the patch, what of the library it leans on, and which
 * tests show that it holds.
 *
 * A patch is applied to one instance, so that two nodes in a process do not meet; only `routerDiscovery` has but a prototype, and
 * `cipherMemory` one memory a process. What a patch leans on is compared with what was read when it was made, in digests.json: by
 * `npm run lint`, and by `npm run update` with what has changed. This file imports nothing, for bin/library-texts.mjs reads it as it is.
 */

/** Methods by file by package; none: the whole file. A method as it stands at the beginning of its line. */
type LibraryTexts = Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;

export interface Patch {
  /** What the library does, or does not do. */
  readonly reason: string;
  /** What is so when it is switched off. What replaces nothing in a library, but reads what its types do not show, has no switch. */
  readonly off?: string;
  readonly leansOn: LibraryTexts;
  /** Below test/, without .test.ts. */
  readonly tests: readonly string[];
}

const GOSSIPSUB = '@chainsafe/libp2p-gossipsub';

export const PATCHES = {
  checkerVerification: {
    reason: 'GossipSub verifies each signature on the main thread, and each copy that comes meanwhile',
    off: 'signatures cost the main thread 220 µs a message in place of 60, and nothing is checked before its verdict is asked for',
    leansOn: {
      [GOSSIPSUB]: {
        'dist/src/gossipsub.js': ['async validateReceivedMessage(', 'async handleReceivedMessage('],
        'dist/src/utils/buildRawMessage.js': [],
      },
    },
    tests: ['main/node/patches/checker-verification', 'main/node/gossip/verification'],
  },
  authorBlame: {
    reason: 'GossipSub scores whoever passes on an invalid message',
    off: 'twenty invalid messages, sent through the network by anybody, have all neighbours graylisted',
    leansOn: {
      [GOSSIPSUB]: {
        'dist/src/gossipsub.js': ['async validateReceivedMessage(', 'async handleReceivedMessage('],
        'dist/src/score/peer-score.js': ['rejectInvalidMessage('],
        'dist/src/tracer.js': [],
      },
    },
    tests: ['main/node/gossip/trust', 'main/node/gossip/verification'],
  },
  uncheckedMessages: {
    reason: 'GossipSub gives a message that has no verdict yet to whoever asks for it by its id',
    off: 'what is invalid is passed on to who asks for it',
    leansOn: { [GOSSIPSUB]: { 'dist/src/message-cache.js': [] } },
    tests: ['main/node/gossip/trust'],
  },
  abandonedStreams: {
    reason:
      'GossipSub closes only our half of an inbound stream that it gives up, and reads on or throws away',
    off: 'a second stream, or the rest of an RPC that is too long, goes past budgets and backpressure',
    leansOn: {
      [GOSSIPSUB]: { 'dist/src/gossipsub.js': ['createInboundStream(', 'handlePeerReadStreamError('] },
    },
    tests: ['main/node/gossip/flood'],
  },
  rpcGuard: {
    reason: 'GossipSub takes as many RPCs as come, and sends to whoever does not read',
    off: 'no budgets, no backpressure, no counts of messages; a peer that does not read stays connected',
    leansOn: {
      [GOSSIPSUB]: {
        'dist/src/gossipsub.js': [
          'async handleReceivedRpc(',
          'async handleReceivedMessage(',
          'acceptFrom(',
          'sendRpc(',
        ],
      },
    },
    tests: ['main/node/gossip/flood', 'main/node/gossip/budgets'],
  },
  peerExchange: {
    reason: 'GossipSub waits for every recommended peer, and tries as many as strangers name',
    off: 'a recommended peer that is not to be reached undoes the rest of the RPC',
    leansOn: { [GOSSIPSUB]: { 'dist/src/gossipsub.js': ['async handlePrune(', 'async pxConnect('] } },
    tests: ['main/node/gossip/peer-exchange'],
  },
  retainedScores: {
    reason: 'GossipSub overwrites the score of a peer that comes back, and retains others without a bound',
    off: 'a bad score is forgiven for a new connection',
    leansOn: {
      [GOSSIPSUB]: {
        'dist/src/score/peer-score.js': [
          'addPeer(',
          'removePeer(',
          'removeIPsForPeer(',
          'refreshScores(',
          'score(',
        ],
      },
    },
    tests: ['main/node/patches/retained-scores'],
  },
  directPeers: {
    reason: 'GossipSub keeps direct peers out of the mesh, whether or not they have us for one',
    off: 'a block of a static peer that does not have us as a direct peer comes a heartbeat late',
    leansOn: {
      [GOSSIPSUB]: {
        'dist/src/gossipsub.js': [
          'async handleGraft(',
          'addToMesh(',
          'sendGraft(',
          'runHeartbeat = ',
          'async heartbeat(',
        ],
      },
    },
    tests: ['main/node/patches/direct-peers'],
  },
  gossipStreams: {
    reason: 'GossipSub opens its stream to a peer once, and forgets a peer whose stream ends in an error',
    off: 'a stream that is lost leaves two nodes connected and deaf until one of them restarts',
    leansOn: {
      [GOSSIPSUB]: {
        'dist/src/gossipsub.js': [
          'onIncomingStream(',
          'onPeerConnected(',
          'onPeerDisconnected(',
          'async createOutboundStream(',
          'createInboundStream(',
          'removePeer(',
          'async pipePeerReadStream(',
        ],
        'dist/src/stream.js': [],
      },
    },
    tests: ['main/node/patches/gossip-streams', 'main/node/connections/duplicate-connections'],
  },
  gossipMemory: {
    reason: 'GossipSub remembers ids and messages without a bound',
    off: '500 MiB at 6,000 messages a second',
    leansOn: {
      [GOSSIPSUB]: {
        'dist/src/utils/time-cache.js': [],
        'dist/src/message-cache.js': ['put(', 'shift(', 'remove(', 'validate('],
        'dist/src/score/message-deliveries.js': ['ensureRecord(', 'gc('],
      },
    },
    tests: ['main/node/patches/gossip-memory'],
  },
  gossipInternals: {
    reason: 'the exported type of GossipSub shows no scores, no mesh and no verdicts',
    leansOn: { [GOSSIPSUB]: { 'dist/src/gossipsub.js': ['reportMessageValidationResult(', 'getScore('] } },
    tests: ['main/node/host', 'main/node/gossip/hearing'],
  },
  windowUpdates: {
    reason: 'yamux answers every data frame with an encrypted window update',
    off: 'a fifth of the main thread goes into window updates',
    leansOn: {
      '@libp2p/yamux': {
        'dist/src/stream.js': ['sendWindowUpdate() {'],
        'dist/src/muxer.js': ['_newStream(streamId'],
      },
    },
    tests: ['main/node/patches/window-updates'],
  },
  noiseLengths: {
    reason: 'noise makes an error after nearly every read, for want of the next length',
    off: '3 to 4 µs more a message',
    leansOn: {
      '@libp2p/noise': { 'dist/src/utils.js': [], 'dist/src/encoder.js': [] },
      '@libp2p/utils': { 'dist/src/length-prefixed-decoder.js': [] },
    },
    tests: ['main/node/patches/noise-lengths'],
  },
  cipherMemory: {
    reason: "all instances of the pre-shared key's cipher grow one memory in turn until it fails",
    off: 'on a private network a send above 640 KiB ends its connection',
    leansOn: { xsalsa20: { 'index.js': [], 'xsalsa20.js': [] } },
    tests: ['main/node/patches/cipher-memory'],
  },
  identifyName: {
    reason: 'libp2p derives the protocol version that identify tells from its protocol ids',
    off: 'identify tells ipfs/0.1.0, not the network',
    leansOn: { '@libp2p/identify': { 'dist/src/utils.js': [] } },
    tests: ['main/node/host', 'main/node/patches/identify'],
  },
  identifyRetries: {
    reason: 'libp2p asks once what a peer speaks',
    off: 'two nodes that both missed the answer stay connected without gossip',
    leansOn: { '@libp2p/identify': { 'dist/src/utils.js': [], 'dist/src/identify.js': [] } },
    tests: ['main/node/patches/identify'],
  },
  identifyPushes: {
    reason: 'libp2p takes as many pushes as come, and stops telling at a peer that its store does not know',
    off: 'strangers have signatures verified and the disk written as often as they like',
    leansOn: { '@libp2p/identify': { 'dist/src/identify-push.js': [], 'dist/src/utils.js': [] } },
    tests: ['main/node/patches/identify'],
  },
  relayReservations: {
    reason: 'libp2p asks a relay for a reservation once, and anybody can have it ask for more',
    off: 'the reservations of one start are all there are',
    leansOn: {
      '@libp2p/circuit-relay-v2': {
        'dist/src/transport/listener.js': [],
        'dist/src/transport/reservation-store.js': ['async addRelay(', 'async #removeReservation('],
        'dist/src/transport/index.js': ['async onStop('],
      },
      libp2p: { 'dist/src/transport-manager.js': ['async listen('] },
    },
    tests: ['main/node/peering/relays'],
  },
  holePunching: {
    reason: 'libp2p punches holes from ports that no router has opened',
    off: 'two peers behind routers speak through a relay alone',
    leansOn: {
      '@libp2p/dcutr': { 'dist/src/dcutr.js': [] },
      '@libp2p/tcp': { 'dist/src/tcp.js': [] },
      libp2p: { 'dist/src/upgrader.js': [] },
    },
    tests: ['namespaces/nat'],
  },
  portMapping: {
    reason: 'libp2p takes a mapping back without naming its protocol, and holds to the port it asked for',
    off: "the router's port stays open after the stop",
    leansOn: { '@achingbrain/nat-port-mapper': { 'dist/src/upnp/device.js': [] } },
    tests: ['namespaces/nat'],
  },
  routerDiscovery: {
    reason: 'the search for routers throws at what strangers send, and fetches what they name',
    off: 'a packet of a stranger ends the process',
    leansOn: {
      '@achingbrain/nat-port-mapper': { 'dist/src/upnp/discovery.js': [] },
      '@achingbrain/ssdp': { 'dist/src/index.js': [] },
    },
    tests: ['main/node/patches/router-discovery'],
  },
  dhtRecords: {
    reason: 'the DHT stores a record for whoever provides whatever, for two days',
    off: 'strangers fill the disk',
    leansOn: { '@libp2p/kad-dht': { 'dist/src/providers.js': [] } },
    tests: ['main/node/patches/dht-records'],
  },
  dhtRequests: {
    reason: 'the DHT reads requests of 4 MB as fast as they come',
    off: 'strangers have it read and answer without end',
    leansOn: { '@libp2p/kad-dht': { 'dist/src/rpc/index.js': ['async onIncomingStream('] } },
    tests: ['main/node/patches/dht-requests'],
  },
  storedAddresses: {
    reason: "libp2p's store adds every address that a peer tells",
    off: "a peer's entry, read whole each time, grows without end",
    leansOn: { '@libp2p/peer-store': { 'dist/src/index.js': [] } },
    tests: ['main/node/patches/stored-addresses'],
  },
  publicAddresses: {
    reason: 'libp2p keeps public addresses of its interfaces to itself until somebody has dialled them back',
    off: 'peers are told private addresses alone',
    leansOn: {
      libp2p: { 'dist/src/address-manager/index.js': ['confirmObservedAddr(', 'getAddresses('] },
    },
    tests: ['namespaces/nat'],
  },
  connectionBytes: {
    reason: 'libp2p tells how many bytes passed in all, not over which connection',
    off: 'no bytes a peer are counted, and a key that does not match is not told of',
    leansOn: { libp2p: { 'dist/src/upgrader.js': [], 'dist/src/connection.js': [] } },
    tests: ['main/node/gossip/hearing', 'main/node/identity/private-network'],
  },
  hostInternals: {
    reason: 'the types of libp2p show neither its parts nor what a connection is made of',
    leansOn: {
      libp2p: {
        'dist/src/upgrader.js': [],
        'dist/src/connection.js': [],
        'dist/src/connection-manager/index.js': ['onDisconnect('],
      },
      '@libp2p/tcp': { 'dist/src/tcp.js': [] },
    },
    tests: ['main/node/patches/host-internals', 'main/node/connections/gater'],
  },
} as const satisfies Readonly<Record<string, Patch>>;

/** Patches that have a switch. */
type PatchName = {
  [Name in keyof typeof PATCHES]: (typeof PATCHES)[Name] extends { readonly off: string } ? Name : never;
}[keyof typeof PATCHES];

/** Which patches are applied. */
export type Patches = Readonly<Record<PatchName, boolean>>;

/** All are, unless one is suspected. */
export const ALL_PATCHES = Object.fromEntries(
  Object.entries<Patch>(PATCHES)
    .filter(([, { off }]) => off !== undefined)
    .map(([name]) => [name, true]),
) as Patches;
