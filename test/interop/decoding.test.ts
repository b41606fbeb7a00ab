/** Whatever bytes strangers send: what Go's decoder reads in them, this server reads, and what it refuses is refused. */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type Agreement,
  assertAsGo,
  type GoDecoding,
  type Input,
  RECORDED_DECODINGS,
} from '../support/go-decodings.js';
import { JSON_CASES } from '../support/json-cases.js';
import { JsonInputs } from '../support/json-inputs.js';
import { Neighbour } from './neighbour.js';

const ROUNDS = Number(process.env.FUZZ_ROUNDS ?? 40);
const INPUTS_A_ROUND = 1000;

const decode = (go: Neighbour, inputs: readonly Input[]): Promise<GoDecoding[]> =>
  go.call(
    'decode',
    inputs.map(({ kind, data }) => ({ kind, data: data.toString('base64') })),
  );

test('Go still answers as recorded to messages at the edges', async (context) => {
  const answers = await decode(new Neighbour(context, 'decode'), [...JSON_CASES.values()]);
  const today = Object.fromEntries([...JSON_CASES.keys()].map((what, n) => [what, answers[n]]));
  if (process.env.RENEW !== undefined)
    writeFileSync(RECORDED_DECODINGS, `${JSON.stringify(today, null, 2)}\n`);
  // Why it refuses, each version of Go says in its own words.
  const plain = (text: string) =>
    JSON.parse(text, (key, value: unknown) => (key === 'refused' ? '' : value)) as unknown;
  assert.deepEqual(plain(readFileSync(RECORDED_DECODINGS, 'utf8')), plain(JSON.stringify(today)));
});

test('messages made by chance are read as Go reads them', async (context) => {
  const go = new Neighbour(context, 'decode');
  const first = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
  const rounds = process.env.FUZZ_SEED === undefined ? ROUNDS : 1;
  const seen: Record<Agreement, number> = { direct: 0, 'message-bus': 0, refused: 0 };
  for (let round = 0; round < rounds; round++) {
    const seed = first + round;
    const made = new JsonInputs(seed);
    const inputs = Array.from({ length: INPUTS_A_ROUND }, () => made.next());
    const decodings = await decode(go, inputs);
    inputs.forEach((input, n) => {
      try {
        seen[assertAsGo(input, decodings[n] as GoDecoding)] += 1;
      } catch (error) {
        const shown = JSON.stringify(input.data.toString('latin1'));
        throw new Error(`FUZZ_SEED=${seed}, input ${n}: ${input.kind} ${shown}`, { cause: error });
      }
    });
  }
  context.diagnostic(`from seed ${first}: ${JSON.stringify(seen)}`);
  for (const [how, count] of Object.entries(seen)) assert.ok(count > rounds * 50, `${count} ${how}`);
});
