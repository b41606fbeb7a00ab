/**
 * An entry: one accepted message, in one layout from the checker to the journal's files and to whoever reads them. Nobody encodes it again.
 *
 * Little-endian. u32 length of all of it, u8 kind id, u8 flags, u8 topic id (0: no record), u8 author length, f64 receivedAt, u32 frame length, u32 value
 * length, u16 key length, u16 zero; with RECORD 32 bytes of hash, with REPEAT 16 bytes of repeat key, with HEADER 80 bytes of block header; author (ASCII), frame,
 * key, value.
 *
 * Position and sequence number are not in it: a batch's header on disk has those of its first entry (`batch.ts`).
 */

/** The largest entry, bytes; a longer length on disk is damage. */
export const MAX_ENTRY_BYTES = 1_048_576;
/** The smallest. */
export const MIN_ENTRY_BYTES = 28;

/** The node's own message. */
export const OWN = 1;
/** Clients of the feed see it: it has a sequence number. */
export const FRAME = 2;
/** Goes to the Kafka topic that it names. */
export const RECORD = 4;
/** The same announcement again is a repeat. */
export const REPEAT = 8;
/** It carries a block's header. */
const HEADER = 16;

const HASH_BYTES = 32;
const REPEAT_BYTES = 16;
/** A block header as it is hashed. */
const HEADER_BYTES = 80;
const NOTHING = new Uint8Array(0);

/** What goes to Kafka. */
export interface EntryRecord {
  /** Id of the topic. */
  readonly topic: number;
  /** 32 bytes, internal order. */
  readonly hash: Uint8Array;
  /** Empty in the first generation: the record goes without a key. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export interface Entry {
  /** Id of the message kind. */
  readonly kind: number;
  /** The node's own message. */
  readonly own: boolean;
  /** Base58 peer ID of the signer; may be empty. */
  readonly author: string;
  /** Unix ms at which the message reached this node. */
  readonly receivedAt: number;
  /** 16 bytes as latin1 text; empty where the message is never a repeat. */
  readonly repeatKey: string;
  /** 80 bytes: the header of the block that the message announces, checked; without it where the message has none. */
  readonly header?: Uint8Array | undefined;
  /** Compact JSON in UTF-8; empty where clients see nothing of it. */
  readonly frame: Uint8Array;
  readonly record: EntryRecord | undefined;
}

/** An entry and where it stands in the journal. */
export interface JournalledEntry {
  readonly position: number;
  /** Its sequence number where it has a frame, else that of the next entry that has. */
  readonly seq: number;
  /** The entry as it was appended. */
  readonly bytes: Uint8Array;
  /** What goes with it where a sink has headers; never on disk. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Bytes of `entry`, encoded. */
export function entryLength({ author, repeatKey, header, frame, record }: Entry): number {
  const length =
    MIN_ENTRY_BYTES +
    author.length +
    repeatKey.length +
    (header === undefined ? 0 : HEADER_BYTES) +
    frame.length;
  return record === undefined ? length : length + HASH_BYTES + record.key.length + record.value.length;
}

/**
 * Writes `entry` into `bytes` at `at`, where there is room for it, and gives the offset behind it. Throws RangeError where it is longer than 1 MiB, or its
 * author or key longer than their lengths can say, or its header not of 80 bytes.
 */
export function writeEntry(entry: Entry, bytes: Buffer, at: number): number {
  const { kind, author, repeatKey, header, frame, record } = entry;
  const length = entryLength(entry);
  if (length > MAX_ENTRY_BYTES) throw new RangeError(`an entry of ${length} bytes`);
  if (header !== undefined && header.length !== HEADER_BYTES)
    throw new RangeError(`a block header of ${header.length} bytes`);
  let flags = entry.own ? OWN : 0;
  if (frame.length > 0) flags |= FRAME;
  if (record !== undefined) flags |= RECORD;
  if (repeatKey !== '') flags |= REPEAT;
  if (header !== undefined) flags |= HEADER;
  bytes.writeUInt32LE(length, at);
  bytes.writeUInt8(kind, at + 4);
  bytes[at + 5] = flags;
  bytes.writeUInt8(record?.topic ?? 0, at + 6);
  bytes.writeUInt8(author.length, at + 7);
  bytes.writeDoubleLE(entry.receivedAt, at + 8);
  bytes.writeUInt32LE(frame.length, at + 16);
  bytes.writeUInt32LE(record?.value.length ?? 0, at + 20);
  bytes.writeUInt16LE(record?.key.length ?? 0, at + 24);
  bytes.writeUInt16LE(0, at + 26);
  let to = at + MIN_ENTRY_BYTES;
  if (record !== undefined) {
    bytes.set(record.hash, to);
    to += HASH_BYTES;
  }
  to += bytes.write(repeatKey, to, 'latin1');
  if (header !== undefined) {
    bytes.set(header, to);
    to += HEADER_BYTES;
  }
  to += bytes.write(author, to, 'latin1');
  bytes.set(frame, to);
  to += frame.length;
  if (record !== undefined) {
    bytes.set(record.key, to);
    bytes.set(record.value, to + record.key.length);
  }
  return at + length;
}

/** `entry` alone. Throws RangeError as `writeEntry` does. */
export function encodeEntry(entry: Entry): Buffer {
  const bytes = Buffer.allocUnsafe(entryLength(entry));
  writeEntry(entry, bytes, 0);
  return bytes;
}

const buffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Bytes of the entry at `at`, by its first four, which are there. Throws RangeError where no entry is that long. */
export function entryLengthAt(bytes: Buffer, at: number): number {
  const length = bytes.readUInt32LE(at);
  if (length < MIN_ENTRY_BYTES || length > MAX_ENTRY_BYTES)
    throw new RangeError(`an entry of ${length} bytes`);
  return length;
}

/** The flags of an entry, without opening it. */
export const flagsOf = (entry: Uint8Array): number => entry[5] as number;

/** Whether clients of the feed see it. */
export const hasFrame = (entry: Uint8Array): boolean => (flagsOf(entry) & FRAME) !== 0;

/** Id of its message kind. */
export const kindOf = (entry: Uint8Array): number => entry[4] as number;

/** Id of the Kafka topic of its record; 0 without one. */
export const topicOf = (entry: Uint8Array): number => entry[6] as number;

/** Unix ms at which its message reached this node. */
export const receivedAtOf = (entry: Uint8Array): number => buffer(entry).readDoubleLE(8);

/** Bytes of the key and value of its record. */
export const recordBytesOf = (entry: Uint8Array): number => {
  const bytes = buffer(entry);
  return bytes.readUInt32LE(20) + bytes.readUInt16LE(24);
};

/** Where its parts are. Throws RangeError unless they are just as long as it is. */
function partsOf(bytes: Buffer) {
  if (bytes.length < MIN_ENTRY_BYTES) throw new RangeError('an entry is cut short');
  const flags = bytes[5] as number;
  const repeatAt = MIN_ENTRY_BYTES + ((flags & RECORD) === 0 ? 0 : HASH_BYTES);
  const headerAt = repeatAt + ((flags & REPEAT) === 0 ? 0 : REPEAT_BYTES);
  const authorAt = headerAt + ((flags & HEADER) === 0 ? 0 : HEADER_BYTES);
  const frameAt = authorAt + (bytes[7] as number);
  const keyAt = frameAt + bytes.readUInt32LE(16);
  const valueAt = keyAt + bytes.readUInt16LE(24);
  const end = valueAt + bytes.readUInt32LE(20);
  if (end !== bytes.length || bytes.readUInt32LE(0) !== end) throw new RangeError('an entry is damaged');
  return { flags, repeatAt, headerAt, authorAt, frameAt, keyAt, valueAt };
}

/** The entry that `bytes` are; its parts are views into them. Throws RangeError where they are no whole entry. */
export function decodeEntry(entry: Uint8Array): Entry {
  const bytes = buffer(entry);
  const { flags, repeatAt, headerAt, authorAt, frameAt, keyAt, valueAt } = partsOf(bytes);
  const record =
    (flags & RECORD) === 0
      ? undefined
      : {
          topic: bytes[6] as number,
          hash: bytes.subarray(MIN_ENTRY_BYTES, MIN_ENTRY_BYTES + HASH_BYTES),
          key: bytes.subarray(keyAt, valueAt),
          value: bytes.subarray(valueAt),
        };
  return {
    kind: bytes[4] as number,
    own: (flags & OWN) !== 0,
    author: bytes.toString('latin1', authorAt, frameAt),
    receivedAt: bytes.readDoubleLE(8),
    repeatKey: bytes.toString('latin1', repeatAt, headerAt),
    header: headerAt === authorAt ? undefined : bytes.subarray(headerAt, authorAt),
    frame: keyAt === frameAt ? NOTHING : bytes.subarray(frameAt, keyAt),
    record,
  };
}

/** Its frame alone, a view; empty where it has none. Throws RangeError as `decodeEntry` does. */
export function frameOf(entry: Uint8Array): Uint8Array {
  const { frameAt, keyAt } = partsOf(buffer(entry));
  return entry.subarray(frameAt, keyAt);
}

/** Its repeat key alone; empty where it has none. Throws RangeError as `decodeEntry` does. */
export function repeatKeyOf(entry: Uint8Array): string {
  const bytes = buffer(entry);
  const { repeatAt, headerAt } = partsOf(bytes);
  return bytes.toString('latin1', repeatAt, headerAt);
}

/** The 80 bytes of its block header alone, a view; undefined where it has none. Throws RangeError as `decodeEntry` does. */
export function headerOf(entry: Uint8Array): Uint8Array | undefined {
  if ((flagsOf(entry) & HEADER) === 0) return undefined;
  const { headerAt, authorAt } = partsOf(buffer(entry));
  return entry.subarray(headerAt, authorAt);
}

/** Base58 peer ID of its signer alone; may be empty. Throws RangeError as `decodeEntry` does. */
export function authorOf(entry: Uint8Array): string {
  const bytes = buffer(entry);
  const { authorAt, frameAt } = partsOf(bytes);
  return bytes.toString('latin1', authorAt, frameAt);
}
