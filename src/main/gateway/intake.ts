/** From records of the topic to entries of the journal: what is no frame is dropped, what was there is merged. */

import { createHash } from 'node:crypto';
import { encodeGatewayEntry, type RecordPlace } from '../../shared/firehose/gateway-entry.js';
import { NODE_STATUS_ID } from '../../shared/messages/ids.js';
import { FRAME_KINDS } from '../../shared/messages/index.js';
import {
  FRAME_RECORD_FAULTS,
  type FrameRecord,
  NoFrameError,
  readFrameRecord,
} from '../../shared/sinks/kafka/frame-record.js';
import { recordHash, type TopicRecord } from '../../shared/sinks/kafka/topic-reader.js';
import type { MergeWindow } from './merge-window.js';

/** A record that is shown. */
export interface ShownRecord extends RecordPlace {
  /** Its time, unix ms. */
  readonly at: number;
  readonly entry: Buffer;
}

/** What becomes of a record; its label in metrics. */
export const RECORD_OUTCOMES = ['shown', 'merged', 'no_value', ...FRAME_RECORD_FAULTS] as const;

type RecordOutcome = (typeof RECORD_OUTCOMES)[number];

export type TakenRecord =
  | { readonly outcome: 'shown'; readonly shown: ShownRecord }
  | { readonly outcome: Exclude<RecordOutcome, 'shown'> };

const KINDS = new Map(FRAME_KINDS.map((kind) => [kind.name, kind]));

export class Intake {
  readonly #merge: MergeWindow;
  readonly #node: string;

  /** `node`: whose status greets clients (`p2p_gateway_node`); empty: that of whoever writes. */
  constructor(merge: MergeWindow, { node }: { readonly node: string }) {
    this.#merge = merge;
    this.#node = node;
  }

  /** Told of each record once, in their order, of those before what is shown too. */
  take({ offset, timestamp, value }: TopicRecord): TakenRecord {
    if (value === undefined) return { outcome: 'no_value' };
    let record: FrameRecord;
    try {
      record = readFrameRecord(value);
    } catch (error) {
      if (error instanceof NoFrameError) return { outcome: error.fault };
      throw error;
    }
    const kind = KINDS.get(record.type);
    if (kind === undefined) return { outcome: 'unknown_kind' };
    const key = kind.repeats && record.hash !== '' ? announcementKey(record) : digest(record.frame);
    if (this.#merge.isRepeat(key, timestamp)) return { outcome: 'merged' };
    const { author, receivedAt, header, frame } = record;
    const hash = recordHash(value);
    const entry = encodeGatewayEntry(
      { kind: kind.id, own: this.#isOwn(kind.id, record), author, receivedAt, header, frame },
      { offset, hash },
    );
    return { outcome: 'shown', shown: { offset, hash, at: timestamp, entry } };
  }

  /** To the servers of this gateway the status that greets clients is their node's own. Where nobody told whose it is, any is better than none. */
  #isOwn(kind: number, { own, author }: FrameRecord): boolean {
    if (kind !== NODE_STATUS_ID) return own ?? false;
    return this.#node === '' ? (own ?? true) : author === this.#node;
  }
}

/** Of which every node writes another frame: each has the time at which it came there. */
const announcementKey = ({ type, author, hash, url }: FrameRecord): string =>
  digest([type, author, hash, url].join('\n'));

const digest = (what: string | Uint8Array): string => createHash('sha256').update(what).digest('base64');
