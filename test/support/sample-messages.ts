/** One good message of each kind, as other nodes would send it, and headers with real and with regtest work. */

import { doubleSha256 } from '../../src/shared/bitcoin/hash.js';
import { targetOfBits } from '../../src/shared/bitcoin/header.js';
import type { CheckContext } from '../../src/shared/messages/context.js';
import { messageJson } from '../../src/shared/messages/encode.js';
import type { Framing } from '../../src/shared/messages/framing.js';
import { wrap } from '../../src/shared/messages/framing.js';
import { MESSAGE_KINDS } from '../../src/shared/messages/index.js';
import type { PeerIdText } from '../../src/shared/net/peer-id.js';
import { checkContextOf } from '../../src/shared/pipeline/check-context.js';
import type { RawMessage } from '../../src/shared/pipeline/types.js';
import { type SettingChanges, settingsOf } from './settings.js';

export const AUTHOR = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp' as PeerIdText;
export const OTHER_PEER = '12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu' as PeerIdText;
export const DATA_HUB = 'https://hub.example.org:8090/api/v1';
/** The main network's first block. */
export const GENESIS_HEADER =
  '0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c';
export const GENESIS_HASH = '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f';

export interface MinedHeader {
  readonly header: string;
  readonly hash: string;
}

/** A header that meets `bits`, or just misses it; few attempts at the easiest target. */
export function mineHeader(bits = 0x207fffff, meets = true): MinedHeader {
  const bytes = Buffer.alloc(80, 7);
  bytes.writeUInt32LE(bits, 72);
  for (let nonce = 0; ; nonce++) {
    bytes.writeUInt32LE(nonce, 76);
    const hash = Buffer.from(doubleSha256(bytes)).reverse().toString('hex');
    if (BigInt(`0x${hash}`) <= targetOfBits(bits) === meets) return { header: bytes.toString('hex'), hash };
  }
}

/** Fields of a good message of `kind`, by the decoded names. */
export function sampleFields(kind: string, author: string = AUTHOR): Record<string, unknown> {
  const hash = 'ab'.repeat(32);
  switch (kind) {
    case 'bestblock':
      return { peerId: author };
    case 'block':
      return {
        hash: GENESIS_HASH,
        height: 7,
        dataHubUrl: DATA_HUB,
        peerId: author,
        clientName: 'one',
        header: GENESIS_HEADER,
        coinbase: '',
      };
    case 'subtree':
      return { hash, dataHubUrl: DATA_HUB, peerId: author, clientName: 'one' };
    case 'mining_on':
      return {
        hash,
        previousHash: 'cd'.repeat(32),
        dataHubUrl: DATA_HUB,
        peerId: author,
        height: 8,
        miner: '/one/',
        sizeInBytes: 18446744073709551615n,
        txCount: 9007199254740993n,
      };
    case 'rejected_tx':
      return { txId: hash, reason: 'too low a fee', peerId: author, clientName: '' };
    case 'node_status':
      return {
        peerId: author,
        clientName: 'one',
        type: 'node_status',
        baseUrl: DATA_HUB,
        propagationUrl: 'https://hub.example.org:8833',
        version: 'v1.2.3',
        commitHash: 'abcdef',
        bestBlockHash: GENESIS_HASH,
        bestHeight: 7,
        txCount: 9007199254740993n,
        subtreeCount: 3,
        fsmState: 'RUNNING',
        startTime: 1700000000,
        uptime: 12.5,
        minerName: '/one/',
        listenMode: 'full',
        chainWork: '0123456789abcdef',
        syncPeerId: OTHER_PEER,
        syncPeerHeight: 9,
        syncPeerBlockHash: hash,
        syncConnectedAt: 1700000001,
        minMiningTxFee: 0.0000005,
        feePolicy: {
          miningFee: { satoshis: 1, bytes: 1000 },
          maxscriptsizepolicy: 500000,
          maxtxsizepolicy: 10485760,
          maxtxsigopscountspolicy: 0,
        },
        connectedPeersCount: 4,
        legacyConnectedPeersCount: 2,
        storage: 'full',
      };
    default:
      return {};
  }
}

/** A good message of `kind` with `changes`, as pubsub data. */
export function sampleData(
  kind: string,
  changes: Record<string, unknown> = {},
  framing: Framing = 'direct',
  author: string = AUTHOR,
): Uint8Array {
  const entry = MESSAGE_KINDS.find(({ name }) => name === kind);
  if (entry === undefined) throw new Error(`no kind ${kind}`);
  return wrap(
    messageJson(entry as { wire: typeof entry.wire }, { ...sampleFields(kind, author), ...changes }, framing),
    framing,
    'one',
  );
}

/** `data` as heard from its author. */
export function heard(
  kind: string,
  data: Uint8Array | string,
  changes: Partial<RawMessage> = {},
): RawMessage {
  return {
    kind: MESSAGE_KINDS.find(({ name }) => name === kind)?.id ?? 0,
    author: AUTHOR,
    receivedAt: Date.UTC(2026, 0, 2, 3, 4, 5, 678),
    standing: 'stranger',
    data: typeof data === 'string' ? Buffer.from(data) : data,
    ...changes,
  };
}

/** The checks' context under default settings with a few changes. */
export function contextOf(changes: SettingChanges = {}, tipBits = 0): CheckContext {
  return checkContextOf(settingsOf(changes), tipBits);
}
