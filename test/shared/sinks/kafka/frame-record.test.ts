/** Frames as records of the notifications topic. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frameForm, NoFrameError, readFrameRecord } from '../../../../src/shared/sinks/kafka/frame-record.js';
import { entryWith } from '../../../support/open-journal.js';

const EPOCH = '0123456789abcdef';
const FRAME =
  '{"timestamp":"2026-11-30T01:02:03Z","type":"block","hash":"aa","base_url":"http://hub","peer_id":"named"}';

const recordValue = (parts: Parameters<typeof entryWith>[0], seq = 7): Buffer => {
  const bytes = entryWith({ frame: Buffer.from(FRAME), ...parts });
  return Buffer.from(frameForm(EPOCH).recordOf({ position: 9, seq, bytes }).value);
};

test('a record is the frame with epoch, number, time, author and flags behind its own keys', () => {
  const value = recordValue({ author: '12D3author', receivedAt: 1_796_000_000_123 });
  const stamp = `,"epoch":"${EPOCH}","seq":7,"received_at":1796000000123,"author":"12D3author","flags":0}`;
  assert.equal(value.toString(), FRAME.slice(0, -1) + stamp);
  assert.equal(JSON.parse(recordValue({ own: true }).toString()).flags, 1);
});

test('from a record comes the frame byte for byte, and what goes with it', () => {
  const read = readFrameRecord(recordValue({ author: '12D3author', receivedAt: 5, own: true }));
  assert.equal(read.frame.toString(), FRAME);
  const { type, hash, url, author, own, receivedAt, header } = read;
  assert.deepEqual(
    { type, hash, url, author, own, receivedAt, header },
    {
      type: 'block',
      hash: 'aa',
      url: 'http://hub',
      author: '12D3author',
      own: true,
      receivedAt: 5,
      header: undefined,
    },
  );
});

test('a block’s header is in the record as hex, before the flags, and comes out as it went in', () => {
  const header = Buffer.alloc(80, 0xa5);
  const value = recordValue({ author: 'a', header });
  assert.ok(value.toString().endsWith(`,"author":"a","header":"${'a5'.repeat(80)}","flags":0}`));
  const read = readFrameRecord(value);
  assert.deepEqual([read.frame.toString(), read.header], [FRAME, header]);
});

test('a record of version 0.2 is a frame of whoever is named in it', () => {
  const value = `${FRAME.slice(0, -1)},"epoch":"${EPOCH}","seq":7,"received_at":5}`;
  const { frame, author, own, receivedAt } = readFrameRecord(Buffer.from(value));
  assert.deepEqual([frame.toString(), author, own, receivedAt], [FRAME, 'named', undefined, 5]);
});

test('keys that are yet to come are no part of the frame', () => {
  const value = `${recordValue({}).toString().slice(0, -1)},"score":3,"origin":"x"}`;
  assert.equal(readFrameRecord(Buffer.from(value)).frame.toString(), FRAME);
});

const STAMP = `,"epoch":"${EPOCH}","seq":7,"received_at":5`;
const BAD: Readonly<Record<string, readonly [value: string | Buffer, fault: string]>> = {
  nothing: ['', 'not_json'],
  'what is no JSON': [`{"type":"block"${STAMP},`, 'not_json'],
  'a list': ['[1,2]', 'no_frame'],
  null: ['null', 'no_frame'],
  'a protobuf message': [Buffer.from('0a40616263', 'hex'), 'not_json'],
  'bytes that are no UTF-8': [Buffer.from(`{"type":"block","hash":"\xff"${STAMP}}`, 'latin1'), 'not_json'],
  'a frame without a stamp, as a Go service would write it': [FRAME, 'no_frame'],
  'a stamp alone': [`{${STAMP.slice(1)}}`, 'no_frame'],
  'a frame without a type': [`{"hash":"aa"${STAMP}}`, 'no_frame'],
  'a type that is no text': [`{"type":{"a":1}${STAMP}}`, 'no_frame'],
  'a stamp that is not at the end': [`{"type":"block"${STAMP},"more":{"a":1}}`, 'no_frame'],
  'a time that is no number': [`{"type":"block","epoch":"${EPOCH}","seq":7,"received_at":"now"}`, 'no_frame'],
  'a time that is a number the first time alone': [
    `{"type":"block"${STAMP},"received_at":"now"}`,
    'no_frame',
  ],
  'a time behind the year 9999': [`{"type":"block"${STAMP}000000000000000}`, 'no_frame'],
  'several lines': [`{"type":"block",\n"hash":"aa"${STAMP}}`, 'no_frame'],
  'an author that is none': [`{"type":"block"${STAMP},"author":"a b"}`, 'no_frame'],
  'a header that is none': [`{"type":"block"${STAMP},"header":"00ff"}`, 'no_frame'],
  'one that is too large': [`{"type":"block","pad":"${'x'.repeat(600_000)}"${STAMP}}`, 'too_large'],
};

for (const [what, [value, fault]] of Object.entries(BAD)) {
  test(`${what} is no frame`, () => {
    assert.throws(
      () => readFrameRecord(Buffer.from(value)),
      (error) => error instanceof NoFrameError && error.fault === fault,
    );
  });
}
