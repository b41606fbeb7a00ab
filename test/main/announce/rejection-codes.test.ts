/** The texts are what `errors.Error` of Teranode makes of an error: `NAME (code): message -> NAME (code): message`; the answers are those of its change 1704. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rejectionCodes } from '../../../src/main/announce/rejection-codes.js';

const BLOB = 'x'.repeat(4096);

for (const { what, text, codes } of [
  { what: 'one code', text: `TX_INVALID (31): script failed: <${BLOB}>`, codes: 'TX_INVALID' },
  {
    what: 'codes of errors that wrap one another, the outermost first, each once',
    text: 'TX_INVALID (31): outer -> PROCESSING (4): inner -> TX_INVALID (31): innermost',
    codes: 'TX_INVALID/PROCESSING',
  },
  {
    what: 'four at the most',
    text: 'A_A (1): a -> B_B (2): b -> C_C (3): c -> D_D (4): d -> E_E (5): e',
    codes: 'A_A/B_B/C_C/D_D',
  },
  { what: 'no code at all', text: 'EOF', codes: 'TX_INVALID' },
  { what: 'nothing', text: '', codes: 'TX_INVALID' },
  {
    what: 'Bitcoin’s own word, which is nobody’s text',
    text: 'TX_INVALID (31): bad-txns-in-belowout',
    codes: 'TX_INVALID: bad-txns-in-belowout',
  },
  {
    what: 'the innermost of such words',
    text: 'TX_INVALID (31): bad-txns-vout-negative -> TX_POLICY (38): bad-txns-inputs-too-large',
    codes: 'TX_INVALID/TX_POLICY: bad-txns-inputs-too-large',
  },
  {
    what: 'a text that merely has such a word',
    text: `TX_INVALID (31): bad-txns-in-belowout ${BLOB}`,
    codes: 'TX_INVALID',
  },
  {
    what: 'what a validator wrote as codes already',
    text: 'TX_INVALID/TX_POLICY: transaction fee is too low',
    codes: 'TX_INVALID/TX_POLICY: transaction fee is too low',
  },
  { what: 'a text in the guise of codes', text: `TX_INVALID: ${BLOB}`, codes: 'TX_INVALID' },
  { what: 'lines and control characters', text: 'TX_INVALID (31): a\nb\u0000 -> c', codes: 'TX_INVALID' },
]) {
  test(`of ${what} the codes are told`, () => assert.equal(rejectionCodes(text), codes));
}

test('a reason made to be slow is not', () => {
  const began = performance.now();
  for (const part of ['A', 'A_', 'A (1): ', ' -> ', 'bad-a', 'A/A']) rejectionCodes(part.repeat(200_000));
  assert.ok(performance.now() - began < 5_000);
});
