import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HandOverAnswer, HandOverRequest } from '../../../src/main/control/hand-over.js';
import { FORMATS, Tenure, type TenureOptions } from '../../../src/main/hand-over/tenure.js';

const SERVING = { stopping: false };

function tenure(options: Partial<TenureOptions> = {}): Tenure {
  return new Tenure({ waitMs: 60_000, version: '1', pod: '', ...options });
}

/** Of one that has seen that it would get the directory. */
const requestOf = (asking: Tenure): HandOverRequest => ({ ...asking.request, confirmed: true });
const refusalOf = (answer: HandOverAnswer): string => (answer.granted ? 'granted' : answer.refusal);

test('one that never hands over refuses, and so does one that hands over to another, or stops', () => {
  const [one, other] = [tenure(), tenure()];
  assert.equal(refusalOf(tenure({ waitMs: 0 }).judge(requestOf(one), SERVING)), 'off');
  const holder = tenure();
  assert.equal(refusalOf(holder.judge(requestOf(one), { stopping: true })), 'busy');
  assert.equal(refusalOf(holder.judge(requestOf(one), SERVING)), 'granted');
  assert.equal(refusalOf(holder.judge(requestOf(other), SERVING)), 'busy');
  assert.equal(refusalOf(holder.judge(requestOf(one), { stopping: true })), 'granted', 'it may ask again');
  assert.equal(holder.heir?.id, one.request.id);
  const asked = tenure();
  assert.equal(refusalOf(asked.judge({ ...one.request, confirmed: false }, SERVING)), 'granted');
  assert.equal(asked.heir, undefined, 'who only asks may be gone by now');
});

test('a version that reads no format as new as the directory’s is refused before anything is given up', () => {
  const newer = Object.fromEntries(Object.entries(FORMATS).map(([name, format]) => [name, format + 1]));
  for (const formats of [FORMATS, {}]) {
    assert.equal(
      refusalOf(tenure({ formats: newer }).judge(requestOf(tenure({ formats })), SERVING)),
      'format',
    );
  }
  assert.equal(refusalOf(tenure().judge(requestOf(tenure({ formats: newer })), SERVING)), 'granted');
});

test('a pod that handed the directory over does not get it back when its container is started again; the next pod does', () => {
  const holder = tenure({ pod: 'new' });
  holder.took({ pod: 'old' });
  assert.equal(refusalOf(holder.judge(requestOf(tenure({ pod: 'old' })), SERVING)), 'not to you');
  assert.equal(refusalOf(holder.judge(requestOf(tenure({ pod: 'newest' })), SERVING)), 'granted');
});

test('outside Kubernetes processes are not told apart by a pod', () => {
  const holder = tenure();
  holder.took({ pod: '' });
  assert.equal(refusalOf(holder.judge(requestOf(tenure()), SERVING)), 'granted');
});

test('who took the directory and did not keep it waits ever longer until it gets it again; others do not', () => {
  let now = 0;
  const holder = tenure({ now: () => now });
  const failing = () => requestOf(tenure({ pod: 'failing' }));
  const waits: number[] = [];
  for (let times = 0; times < 10; times++) {
    assert.equal(refusalOf(holder.judge(failing(), SERVING)), 'granted');
    holder.tookBack();
    const since = now;
    while (refusalOf(holder.judge(failing(), SERVING)) === 'not to you') {
      now += 1000;
      // The look above may have granted: that is the next round.
      if (now - since > 2_000_000) assert.fail('for ever');
    }
    waits.push(now - since);
    holder.tookBack();
    now += 10_000_000;
  }
  assert.ok(waits[0] !== undefined && waits[0] >= 10_000);
  assert.deepEqual(
    waits,
    [...waits].sort((a, b) => a - b),
  );
  assert.equal(waits.at(-1), 1_800_000);
  holder.judge(failing(), SERVING);
  holder.tookBack();
  assert.equal(refusalOf(holder.judge(failing(), SERVING)), 'not to you');
  assert.equal(refusalOf(holder.judge(requestOf(tenure({ pod: 'another' })), SERVING)), 'granted');
});

test('what is no request is refused with an error, whatever it is', () => {
  const holder = tenure();
  const request = requestOf(tenure());
  for (const garbage of [
    undefined,
    null,
    'me',
    {},
    { ...request, id: 7 },
    { ...request, name: 'x'.repeat(10_000) },
    { ...request, confirmed: undefined },
    { ...request, formats: null },
    { ...request, formats: { journal: '9' } },
    { ...request, formats: { journal: Number.NaN } },
  ]) {
    assert.throws(() => holder.judge(garbage, SERVING), TypeError);
  }
  assert.equal(holder.heir, undefined);
});
