import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  authorOf,
  decodeEntry,
  type Entry,
  encodeEntry,
  entryLength,
  entryLengthAt,
  flagsOf,
  frameOf,
  headerOf,
  kindOf,
  MAX_ENTRY_BYTES,
  repeatKeyOf,
  topicOf,
} from '../../../src/shared/journal/entry.js';

const AUTHOR = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

const WHOLE: Entry = {
  kind: 2,
  own: false,
  author: AUTHOR,
  receivedAt: 1_700_000_000_123,
  repeatKey: '\u0000\u00ff0123456789abcd',
  frame: Buffer.from('{"type":"subtree","hash":"ü"}'),
  record: {
    topic: 2,
    hash: Buffer.alloc(32, 7),
    key: Buffer.from('key'),
    value: Buffer.from('value'),
  },
};

const VARIANTS: readonly Entry[] = [
  WHOLE,
  { ...WHOLE, record: undefined, own: true, repeatKey: '' },
  { ...WHOLE, header: Buffer.alloc(80, 3) },
  { ...WHOLE, record: undefined, own: true, repeatKey: '', header: Buffer.alloc(80, 255) },
  { ...WHOLE, frame: new Uint8Array(0), repeatKey: '' },
  { ...WHOLE, frame: new Uint8Array(0), record: undefined, repeatKey: '', author: '' },
  { ...WHOLE, record: { topic: 255, hash: Buffer.alloc(32), key: Buffer.alloc(0), value: Buffer.alloc(0) } },
];

/** With plain arrays in place of views of one kind or another. */
const plain = (entry: Entry) => ({
  ...entry,
  header: entry.header && [...entry.header],
  frame: [...entry.frame],
  record: entry.record && {
    ...entry.record,
    hash: [...entry.record.hash],
    key: [...entry.record.key],
    value: [...entry.record.value],
  },
});

describe('an entry', () => {
  it('gives back what it was made of, whatever parts it has', () => {
    for (const entry of VARIANTS) {
      const bytes = encodeEntry(entry);
      assert.equal(bytes.length, entryLength(entry));
      assert.equal(entryLengthAt(bytes, 0), bytes.length);
      assert.deepEqual(plain(decodeEntry(bytes)), plain(entry));
      // As it comes from a socket or a file: a view in the midst of others.
      const amid = new Uint8Array(Buffer.concat([Buffer.alloc(5, 9), bytes, Buffer.alloc(5, 9)])).subarray(
        5,
        5 + bytes.length,
      );
      assert.deepEqual(plain(decodeEntry(amid)), plain(entry));
      assert.deepEqual([...frameOf(amid)], [...entry.frame]);
      assert.equal(repeatKeyOf(amid), entry.repeatKey);
      assert.equal(authorOf(amid), entry.author);
      assert.deepEqual(headerOf(amid) && [...(headerOf(amid) ?? [])], entry.header && [...entry.header]);
      assert.deepEqual([kindOf(amid), topicOf(amid)], [entry.kind, entry.record?.topic ?? 0]);
    }
  });

  it('is laid out as its description says: what is on a disk is read by later versions', () => {
    // Written by hand from the layout in the file's head: own, frame, record and repeat are 1, 2, 4, 8.
    const expected = Buffer.concat([
      Buffer.alloc(4),
      Buffer.from([2, 14, 2, 52]),
      Buffer.alloc(8),
      Buffer.from('1e000000', 'hex'),
      Buffer.from('05000000', 'hex'),
      Buffer.from('03000000', 'hex'),
      Buffer.alloc(32, 7),
      Buffer.from('00ff30313233343536373839', 'hex'),
      Buffer.from('61626364', 'hex'),
      Buffer.from(AUTHOR),
      Buffer.from('{"type":"subtree","hash":"ü"}'),
      Buffer.from('keyvalue'),
    ]);
    expected.writeUInt32LE(expected.length, 0);
    expected.writeDoubleLE(1_700_000_000_123, 8);
    assert.equal(encodeEntry(WHOLE).toString('hex'), expected.toString('hex'));
    assert.equal(flagsOf(encodeEntry(WHOLE)), 14);
    // A block's header, 16, is behind the repeat key: an entry of before it was kept is one without.
    const header = Buffer.alloc(80, 0xab);
    const keyEnd = 28 + 32 + 16;
    const longer = Buffer.concat([expected.subarray(0, keyEnd), header, expected.subarray(keyEnd)]);
    longer.writeUInt32LE(longer.length, 0);
    longer[5] = 14 + 16;
    assert.equal(encodeEntry({ ...WHOLE, header }).toString('hex'), longer.toString('hex'));
    assert.equal(decodeEntry(expected).header, undefined);
  });

  it('is refused at every length but its own, and with any length in it damaged', () => {
    const bytes = encodeEntry(WHOLE);
    for (const whole of [bytes, encodeEntry({ ...WHOLE, header: Buffer.alloc(80) })]) {
      for (let length = 0; length < whole.length; length++) {
        assert.throws(() => decodeEntry(whole.subarray(0, length)), RangeError);
      }
    }
    assert.throws(() => decodeEntry(Buffer.concat([bytes, Buffer.alloc(1)])), RangeError);
    for (const at of [0, 1, 2, 3, 7, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25]) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ 0x81;
      assert.throws(() => decodeEntry(damaged), RangeError, `byte ${at}`);
    }
  });

  it('is a mebibyte at the most', () => {
    const room = MAX_ENTRY_BYTES - entryLength({ ...WHOLE, frame: new Uint8Array(0) });
    assert.equal(encodeEntry({ ...WHOLE, frame: new Uint8Array(room) }).length, MAX_ENTRY_BYTES);
    assert.throws(() => encodeEntry({ ...WHOLE, frame: new Uint8Array(room + 1) }), RangeError);
    const told = Buffer.alloc(4);
    for (const length of [0, 27, MAX_ENTRY_BYTES + 1, 0xffffffff]) {
      told.writeUInt32LE(length);
      assert.throws(() => entryLengthAt(told, 0), RangeError);
    }
    assert.throws(() => encodeEntry({ ...WHOLE, author: 'a'.repeat(256) }), RangeError);
    for (const length of [0, 79, 81])
      assert.throws(() => encodeEntry({ ...WHOLE, header: Buffer.alloc(length) }), RangeError);
  });
});
