/**
 * A frame as a record of the notifications topic: its JSON with keys behind its own, of which who reads frames alone needs none.
 *
 *     {"timestamp":…,"type":"block",…,"epoch":"<16 hex>","seq":7,"received_at":1767225600000,"author":"12D3…","header":"<160 hex>","flags":0}
 *
 * `epoch` and `seq` are the node's that wrote it, `received_at` is in unix ms, `author` signed the message, `header` is a block's 80 bytes where they came with it,
 * `flags` is {@link OWN_FLAG} where the message is the node's own. Version 0.2 ended with `received_at`.
 */

import { isUtf8 } from 'node:buffer';
import { decodeEntry, headerOf, type JournalledEntry } from '../../journal/entry.js';
import type { RecordForm } from './sink.js';
import type { KafkaRecord } from './types.js';

/** In `flags`: the message is that of the node that wrote the record. */
const OWN_FLAG = 1;
/** Keys with their values, but the author and the header. */
const STAMP_BYTES = 112;
/** The header with its key. */
const HEADER_STAMP_BYTES = 172;

/**
 * What an entry is on the notifications topic. The epoch is the key: on a topic of several partitions all of an epoch's frames are in one, in the order of `seq`.
 */
export function frameForm(epoch: string): RecordForm {
  const key = Buffer.from(epoch);
  const recordOf = ({ bytes, seq }: JournalledEntry): KafkaRecord => {
    const { frame, receivedAt, author, own, header } = decodeEntry(bytes);
    const stamp =
      `"epoch":${JSON.stringify(epoch)},"seq":${seq},"received_at":${receivedAt}` +
      `,"author":${JSON.stringify(author)}${header === undefined ? '' : `,"header":"${hexOf(header)}"`}` +
      `,"flags":${own ? OWN_FLAG : 0}}`;
    const open = Buffer.from(frame.buffer, frame.byteOffset, frame.length - 1);
    return { key, value: Buffer.concat([open, Buffer.from(open.length > 1 ? `,${stamp}` : stamp)]) };
  };
  const bytesOf = (entry: Uint8Array): number =>
    entry.length + STAMP_BYTES + (headerOf(entry) === undefined ? 0 : HEADER_STAMP_BYTES);
  return { recordOf, bytesOf };
}

const hexOf = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('hex');

/** Why a record is no frame. */
export const FRAME_RECORD_FAULTS = ['too_large', 'not_json', 'no_frame', 'unknown_kind'] as const;

type FrameRecordFault = (typeof FRAME_RECORD_FAULTS)[number];

export class NoFrameError extends Error {
  override readonly name = 'NoFrameError';

  constructor(readonly fault: FrameRecordFault) {
    super(`a record that is no frame: ${fault}`);
  }
}

export interface FrameRecord {
  /** `type` of the frame. */
  readonly type: string;
  /** `hash` and `base_url` of the frame; empty where it has none. */
  readonly hash: string;
  readonly url: string;
  /** Who signed the message: by servers that did not tell, who is named in it. */
  readonly author: string;
  /** That of the node that wrote the record; undefined where that was not told. */
  readonly own: boolean | undefined;
  /** Unix ms. */
  readonly receivedAt: number;
  /** 80 bytes. */
  readonly header: Buffer | undefined;
  /** As consumers of the feed get it. */
  readonly frame: Buffer;
}

/** Larger than any frame; what the journal takes is a MiB. */
const MAX_RECORD_BYTES = 524_288;
/** Behind a frame there is no more than this: so far back its end is looked for. */
const MAX_STAMP_BYTES = 4096;
const STAMP =
  /,"epoch":"[^"\\]{1,64}","seq":\d{1,16},"received_at":\d{1,16}(?:,"\w{1,64}":(?:"[^"\\]*"|\d{1,16}))*\}$/;
const AUTHOR = /^[\x21-\x7e]{0,128}$/;
const HEADER = /^(?:[0-9a-f]{160})?$/;
/** The last that RFC 3339 can say, unix ms. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
/** One frame is one line, wherever several are in one message. */
const LINE_BREAK = /[\r\n]/;

/** The frame in a record's value, whoever wrote it. Throws NoFrameError. */
export function readFrameRecord(value: Uint8Array): FrameRecord {
  if (value.length > MAX_RECORD_BYTES) throw new NoFrameError('too_large');
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  // A client that gets other bytes in a text frame must hang up.
  if (!isUtf8(bytes)) throw new NoFrameError('not_json');
  const text = bytes.toString();
  let told: unknown;
  try {
    told = JSON.parse(text);
  } catch {
    throw new NoFrameError('not_json');
  }
  const stamp = STAMP.exec(text.slice(-MAX_STAMP_BYTES))?.[0];
  if (typeof told !== 'object' || told === null || stamp === undefined) throw new NoFrameError('no_frame');
  const fields = told as Readonly<Record<string, unknown>>;
  const textOf = (key: string): string => {
    const field = fields[key];
    return typeof field === 'string' ? field : '';
  };
  const author = fields.author === undefined ? textOf('peer_id') : textOf('author');
  const header = textOf('header');
  const frame = Buffer.concat([bytes.subarray(0, bytes.length - Buffer.byteLength(stamp)), CLOSE]);
  const { received_at: receivedAt } = fields;
  // A key that is there twice is what it was the second time, which the stamp does not say.
  const isTime = typeof receivedAt === 'number' && receivedAt <= LAST_MS;
  const isFrame = textOf('type') !== '' && isTime && AUTHOR.test(author) && HEADER.test(header);
  if (!isFrame || LINE_BREAK.test(text)) throw new NoFrameError('no_frame');
  return {
    type: textOf('type'),
    hash: textOf('hash'),
    url: textOf('base_url'),
    author,
    own: typeof fields.flags === 'number' ? (fields.flags & OWN_FLAG) !== 0 : undefined,
    receivedAt,
    header: header === '' ? undefined : Buffer.from(header, 'hex'),
    frame,
  };
}

const CLOSE = Buffer.from('}');
