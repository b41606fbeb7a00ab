/** Go's answers to messages at the edges, recorded by `RENEW=1 npm run test:interop -- decoding`, which also asks Go about any others. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { assertAsGo, type GoDecoding, RECORDED_DECODINGS } from '../../support/go-decodings.js';
import { JSON_CASES } from '../../support/json-cases.js';

const recorded = new Map(
  Object.entries(JSON.parse(readFileSync(RECORDED_DECODINGS, 'utf8')) as Record<string, GoDecoding>),
);

describe('a message is read as Go reads it', () => {
  for (const [what, input] of JSON_CASES) {
    it(`with ${what}`, () => {
      const answer = recorded.get(what);
      assert.ok(answer !== undefined, 'Go has not been asked yet');
      assertAsGo(input, answer);
    });
  }
});
