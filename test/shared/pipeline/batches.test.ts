import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeEntry } from '../../../src/shared/journal/entry.js';
import { MESSAGE_KINDS } from '../../../src/shared/messages/index.js';
import { outcomeIndex } from '../../../src/shared/messages/outcomes.js';
import { checkMessage, refusedMessage } from '../../../src/shared/pipeline/check.js';
import {
  decodeCheckedBatch,
  decodeCheckedMessage,
  encodeCheckedBatch,
  entryOf,
  factOf,
  joinCheckedMessages,
  microsOfMessage,
  outcomeOf,
  sliceCheckedBatch,
} from '../../../src/shared/pipeline/checked-batch.js';
import { decodeRawBatch, encodeRawBatch } from '../../../src/shared/pipeline/raw-batch.js';
import type { CheckedMessage } from '../../../src/shared/pipeline/types.js';
import { kindOf } from '../../support/kinds.js';
import { contextOf, heard, sampleData } from '../../support/sample-messages.js';

/** With plain arrays in place of views of one kind or another. */
function plain(message: CheckedMessage & { entry?: Uint8Array }) {
  const { entry: _, ...rest } = message;
  const { record } = message;
  return {
    ...rest,
    header: message.header && [...message.header],
    frame: [...message.frame],
    record: record && { ...record, hash: [...record.hash], key: [...record.key], value: [...record.value] },
  };
}

const RAW = MESSAGE_KINDS.map(({ name }) => heard(name, sampleData(name)));
const CHECKED = RAW.map((raw) => checkMessage(kindOf(raw.kind), raw, contextOf()));

describe('a raw batch', () => {
  it('gives back its messages', () => {
    const decoded = decodeRawBatch(encodeRawBatch([...RAW, { ...RAW[0]!, data: new Uint8Array(0) }]));
    assert.equal(decoded.length, RAW.length + 1);
    RAW.forEach((raw, index) => {
      assert.deepEqual(
        { ...decoded[index], data: [...decoded[index]!.data] },
        { ...raw, data: [...raw.data], signed: undefined },
      );
    });
  });

  it('gives back what was signed, and the data in it', () => {
    const bytes = Buffer.from('before {"Hash":""} behind');
    const key = Buffer.alloc(32, 1);
    const signature = Buffer.alloc(64, 2);
    const raws = [0, 7, bytes.length].map((from) => {
      const data = bytes.subarray(from, Math.min(from + 11, bytes.length));
      return { ...RAW[0]!, data, signed: { key, signature, bytes, dataAt: from } };
    });
    const decoded = decodeRawBatch(encodeRawBatch([...raws, RAW[1]!]));
    raws.forEach(({ data }, index) => {
      const { data: found, signed } = decoded[index]!;
      const parts = [found, signed?.key, signed?.signature, signed?.bytes];
      assert.deepEqual(
        parts.map((part) => Buffer.from(part ?? [])),
        [data, key, signature, bytes],
      );
    });
    assert.equal(decoded[3]?.signed, undefined);
    assert.deepEqual(Buffer.from(decoded[3]!.data), Buffer.from(RAW[1]!.data));
    const whole = encodeRawBatch([raws[2]!]);
    for (let length = 0; length < whole.byteLength; length++) {
      assert.throws(() => decodeRawBatch(whole.slice(0, length)), RangeError, `${length}`);
    }
  });

  it('is empty when nothing is in it, and refused when cut short', () => {
    assert.deepEqual(decodeRawBatch(encodeRawBatch([])), []);
    assert.throws(() => decodeRawBatch(encodeRawBatch(RAW).slice(0, -1)), RangeError);
    assert.throws(() => decodeRawBatch(new ArrayBuffer(2)), RangeError);
  });
});

describe('a checked batch', () => {
  const poisonous = refusedMessage(outcomeIndex('poisonous'), RAW[0]!);

  it('gives back its messages', () => {
    const messages = [...CHECKED, poisonous];
    assert.deepEqual(decodeCheckedBatch(encodeCheckedBatch(messages)).map(plain), messages.map(plain));
  });

  it('tells what the check of each took, unopened, up to 65 ms', () => {
    const micros = CHECKED.map((_, index) => index * 1.4);
    const told = micros.map(Math.round);
    const cut = sliceCheckedBatch(encodeCheckedBatch([...CHECKED, poisonous], [...micros, 1e9]));
    assert.deepEqual(cut.map(microsOfMessage), [...told, 65_535]);
    const untold = sliceCheckedBatch(encodeCheckedBatch(CHECKED)).map(microsOfMessage);
    assert.deepEqual(
      untold,
      told.map(() => 0),
    );
  });

  it('grows past any first guess', () => {
    const large: CheckedMessage = {
      ...CHECKED[1]!,
      frame: new Uint8Array(200_000).fill(7),
      fact: 'ü'.repeat(50_000),
    };
    assert.deepEqual(
      decodeCheckedBatch(encodeCheckedBatch([large, ...CHECKED])).map(plain),
      [large, ...CHECKED].map(plain),
    );
  });

  it('is cut into its messages and joined from those of others, unopened', () => {
    const batch = encodeCheckedBatch([...CHECKED, poisonous], [7]);
    const cut = sliceCheckedBatch(batch);
    assert.deepEqual(cut.map(outcomeOf), [...CHECKED.map(({ outcome }) => outcome), poisonous.outcome]);
    assert.deepEqual(cut.map(factOf), [...CHECKED.map(({ fact }) => fact), '']);
    assert.deepEqual(cut.map(decodeCheckedMessage).map(plain), [...CHECKED, poisonous].map(plain));
    const others = [cut[2], cut[0], ...sliceCheckedBatch(encodeCheckedBatch([CHECKED[3]!]))] as Buffer[];
    const joined = joinCheckedMessages(others);
    assert.deepEqual(
      decodeCheckedBatch(joined).map(plain),
      [CHECKED[2], CHECKED[0], CHECKED[3]].map((message) => plain(message!)),
    );
    assert.deepEqual(sliceCheckedBatch(joined).map(microsOfMessage), [0, 7, 0]);
    assert.deepEqual(decodeCheckedBatch(joinCheckedMessages([])), []);
    // All of one, as it was, is that one; less of it, or in another order, is not.
    assert.equal(joinCheckedMessages(cut), batch);
    assert.deepEqual(
      decodeCheckedBatch(joinCheckedMessages(cut.slice(0, -1))).map(plain),
      CHECKED.map(plain),
    );
    assert.deepEqual(
      decodeCheckedBatch(joinCheckedMessages([...cut].reverse())).map(plain),
      [...CHECKED, poisonous].reverse().map(plain),
    );
  });

  it('carries of each message the entry that is stored, and nothing of the rest in it', () => {
    for (const message of sliceCheckedBatch(encodeCheckedBatch(CHECKED))) {
      const { entry, ...decoded } = decodeCheckedMessage(message);
      assert.deepEqual([...entry], [...entryOf(message)]);
      const { outcome: _, standing: _s, proven: _p, hashKey: _h, fact: _f, ...stored } = plain(decoded);
      const { dataHubUrl: url, ...record } = stored.record ?? { dataHubUrl: undefined };
      const expected = { ...stored, record: url === undefined ? undefined : record };
      const found = decodeEntry(entry);
      assert.deepEqual(
        {
          ...found,
          header: found.header && [...found.header],
          frame: [...found.frame],
          record: found.record && {
            ...found.record,
            hash: [...found.record.hash],
            key: [...found.record.key],
            value: [...found.record.value],
          },
        },
        expected,
      );
    }
  });

  it('is refused at every length but its own', () => {
    const batch = encodeCheckedBatch([CHECKED[1]!, poisonous]);
    for (let length = 0; length < batch.byteLength; length++) {
      assert.throws(() => decodeCheckedBatch(batch.slice(0, length)), RangeError, `${length}`);
    }
    assert.throws(
      () => decodeCheckedBatch(Buffer.concat([Buffer.from(batch), Buffer.alloc(3)]).buffer),
      RangeError,
    );
  });
});
