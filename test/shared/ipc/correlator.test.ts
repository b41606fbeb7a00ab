import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Correlator } from '../../../src/shared/ipc/correlator.js';

test('answers that come back in any order go each to its question', async (context) => {
  const { port1: here, port2: there } = new MessageChannel();
  context.after(() => here.close());
  const asked = new Correlator<string>();
  const held: { readonly id: number; readonly text: string }[] = [];
  there.on('message', (question) => {
    held.push(question);
    if (held.length < 3) return;
    for (const { id, text } of held.reverse()) there.postMessage({ id, answer: text.toUpperCase() });
  });
  here.on('message', ({ id, answer }) => asked.answer(id, answer));
  const ask = (text: string) => asked.ask((id) => here.postMessage({ id, text }));
  assert.deepEqual(await Promise.all([ask('a'), ask('b'), ask('c')]), ['A', 'B', 'C']);
  assert.equal(asked.size, 0);
});

test('a question is refused alone, with all others, or where it cannot be sent', async () => {
  const asked = new Correlator<string>();
  const ids: number[] = [];
  const questions = Array.from({ length: 3 }, () => asked.ask((id) => ids.push(id)));
  const outcomes = Promise.allSettled(questions);
  const [first = 0] = ids;
  assert.equal(asked.refuse(first, new Error('not this one')), true);
  asked.refuseAll(new Error('it ended'));
  assert.deepEqual(
    (await outcomes).map((outcome) => outcome.status === 'rejected' && outcome.reason.message),
    ['not this one', 'it ended', 'it ended'],
  );
  assert.deepEqual([asked.answer(first, 'late'), asked.refuse(first, new Error('late'))], [false, false]);
  const send = (): never => {
    throw new Error('the port is closed');
  };
  await assert.rejects(asked.ask(send), { message: 'the port is closed' });
  assert.equal(asked.size, 0);
});

test('a question whose time is over rejects, and its answer then finds nobody', async () => {
  const asked = new Correlator<string>();
  let id = 0;
  const send = (given: number): void => {
    id = given;
  };
  await assert.rejects(asked.ask(send, { timeoutMs: 5 }), { message: 'no answer within 5 ms' });
  assert.equal(asked.answer(id, 'late'), false);
  const late = () => new RangeError('too late');
  await assert.rejects(asked.ask(send, { timeoutMs: 5, late }), { name: 'RangeError', message: 'too late' });
  const answered = asked.ask(send, { timeoutMs: 3_600_000 });
  asked.answer(id, 'in time');
  assert.equal(await answered, 'in time');
});
