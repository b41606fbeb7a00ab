/** What the node reports of a block or subtree that is invalid (WIRE §3), read from a record. */

import { type HashHex, parseHashHex } from '../../shared/bitcoin/hash.js';
import {
  KafkaInvalidBlockTopicMessage,
  KafkaInvalidSubtreeTopicMessage,
} from '../../shared/generated/kafkamessage.js';

/** What can be reported as invalid. */
export const REPORTED_KINDS = ['block', 'subtree'] as const;
export type ReportedKind = (typeof REPORTED_KINDS)[number];

export interface InvalidReport {
  readonly hash: HashHex;
  /** As told; for logs alone. */
  readonly reason: string;
  /** Who it came from, base58, or empty. */
  readonly peerId: string;
  /** Data hub that it was fetched from, or empty. */
  readonly peerUrl: string;
}

const MAX_REASON = 256;

/** Reads a record of either topic, protobuf in both generations; undefined for one that is no report. */
export function decodeInvalidReport(kind: ReportedKind, value: Uint8Array): InvalidReport | undefined {
  try {
    if (kind === 'block') {
      const { blockHash, reason, peer_id, peer_url } = KafkaInvalidBlockTopicMessage.decode(value);
      return report(blockHash, reason, peer_id, peer_url);
    }
    const { subtreeHash, reason, peerUrl } = KafkaInvalidSubtreeTopicMessage.decode(value);
    return report(subtreeHash, reason, '', peerUrl);
  } catch {
    return undefined;
  }
}

function report(text: string, reason: string, peerId: string, peerUrl: string): InvalidReport | undefined {
  const hash = parseHashHex(text);
  return hash === undefined ? undefined : { hash, reason: reason.slice(0, MAX_REASON), peerId, peerUrl };
}
