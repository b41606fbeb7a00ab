/** What is put beside and around the frames of the feed. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { encodeControl, errorFrame, infoFrame } from '../../../src/shared/firehose/control-frames.js';
import { metaFrame } from '../../../src/shared/firehose/meta.js';
import { FeedProblem, PROBLEMS } from '../../../src/shared/firehose/problems.js';
import { encodeEntry } from '../../../src/shared/journal/entry.js';

const FRAME = '{"timestamp":"2026-11-30T01:02:03Z","type":"rejected_tx","reason":"\\u003cé\\"}\\u003e"}';
const AT = Date.UTC(2026, 10, 30, 1, 2, 3, 4);

const entry = (frame: string, header?: Uint8Array) => ({
  position: 12,
  seq: 7,
  bytes: encodeEntry({
    kind: 4,
    own: false,
    author: 'somebody',
    receivedAt: AT,
    repeatKey: '',
    frame: Buffer.from(frame),
    record: undefined,
    header,
  }),
});

describe('a frame with meta', () => {
  it('is the plain frame with its place behind, and leaves the plain one as it is', () => {
    const journalled = entry(FRAME);
    const before = Buffer.from(journalled.bytes);
    const told = { cursor: '0123456789abcdef.7', epoch: '0123456789abcdef', seq: 7 };
    const text = Buffer.from(metaFrame(journalled, told)).toString();
    assert.equal(
      text,
      `${FRAME.slice(0, -1)},"cursor":"0123456789abcdef.7","epoch":"0123456789abcdef","seq":7,"received_at":"2026-11-30T01:02:03.004Z"}`,
    );
    assert.deepEqual(JSON.parse(text), {
      ...JSON.parse(FRAME),
      ...told,
      received_at: '2026-11-30T01:02:03.004Z',
    });
    assert.deepEqual(Buffer.from(journalled.bytes), before);
  });

  it('tells a block’s header, and the hash of the block before as everybody writes it', () => {
    // Of the main network's blocks 0 and 1, as any node has them.
    const header =
      '010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299';
    const previous = '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f';
    const journalled = entry(FRAME, Buffer.from(header, 'hex'));
    const before = Buffer.from(journalled.bytes);
    const told = { cursor: 'e.7', epoch: 'e', seq: 7 };
    assert.equal(
      Buffer.from(metaFrame(journalled, told)).toString(),
      `${FRAME.slice(0, -1)},"cursor":"e.7","epoch":"e","seq":7,"received_at":"2026-11-30T01:02:03.004Z","header":"${header}","previous_hash":"${previous}"}`,
    );
    assert.deepEqual(Buffer.from(journalled.bytes), before);
  });

  it('tells the largest sequence number that there can be', () => {
    const seq = Number.MAX_SAFE_INTEGER;
    const text = Buffer.from(metaFrame(entry(FRAME), { cursor: `e.${seq}`, epoch: 'e', seq })).toString();
    assert.equal(JSON.parse(text).seq, seq);
  });
});

describe('a control frame', () => {
  const limits = { peers: 100, message_bytes: 1024, messages_per_minute: 100, buffer_bytes: 1 };

  it('greets with the node’s frame as it is, or without', () => {
    const hello = { type: 'hello', cursor: 'e.1', oldest: 'e.0', limits } as const;
    assert.equal(
      encodeControl({ ...hello, node: Buffer.from(FRAME) }),
      `{"type":"hello","cursor":"e.1","oldest":"e.0","node":${FRAME},"limits":${JSON.stringify(limits)}}`,
    );
    assert.deepEqual(JSON.parse(encodeControl(hello)), hello);
  });

  it('tells a gap by its ends, and a problem as an answer would', () => {
    assert.deepEqual(JSON.parse(encodeControl(infoFrame('gap', { from: 3, to: 5 }))), {
      type: 'info',
      code: 'gap',
      text: infoFrame('gap').text,
      from: 3,
      to: 5,
    });
    const problem = new FeedProblem('cursor_too_old', 'e.1 is gone', { oldest: 'e.9' });
    assert.deepEqual(JSON.parse(encodeControl(errorFrame(problem, 'e.8'))), {
      type: 'error',
      code: 'cursor_too_old',
      text: 'e.1 is gone',
      cursor: 'e.8',
      oldest: 'e.9',
    });
    assert.deepEqual(JSON.parse(problem.body()), {
      type: 'about:blank',
      title: 'Gone',
      status: 410,
      detail: 'e.1 is gone',
      code: 'cursor_too_old',
      oldest: 'e.9',
    });
  });
});

type Row = Pick<FeedProblem, 'status' | 'close'> & { readonly text: string; readonly remedy: string };

describe('the table of problems', () => {
  it('has for each a status of HTTP’s or a close code that applications may use', () => {
    for (const [code, { status, close, text, remedy }] of Object.entries<Row>(PROBLEMS)) {
      assert.ok(status === 0 || (status >= 400 && status < 600), code);
      // RFC 6455, section 7.4: 4000 to 4999 are the application's, 1013 is registered.
      assert.ok(close === 0 || close === 1013 || (close >= 4000 && close < 5000), code);
      assert.ok(status !== 0 || close !== 0, code);
      assert.ok(text.endsWith('.') && remedy.endsWith('.'), code);
    }
  });
});
