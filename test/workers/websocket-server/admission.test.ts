import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import type { PlaceAnswer } from '../../../src/shared/feed/control.js';
import { ConnectionLedger } from '../../../src/shared/net/connection-ledger.js';
import { Admission } from '../../../src/workers/websocket-server/admission.js';

/** A desk with a count of its own that answers only when told, as a main that stood still. */
function behindADesk(max: number) {
  const limits = { max, trusted: ['10.0.0.0/8'] };
  const ledger = new ConnectionLedger({ max, trusted: [] });
  const held: (() => void)[] = [];
  const admission = new Admission(
    {
      admit: (requests) => {
        held.push(() =>
          admission.answered(
            requests.map(([id, ...visitor]) => [
              id,
              ledger.admit('one', ...visitor) ? 'granted' : 'too_many_connections',
            ]),
          ),
        );
      },
      release: (visitors) => {
        held.push(() => {
          for (const visitor of visitors) ledger.release('one', ...visitor);
        });
      },
    },
    new ConnectionLedger(limits),
  );
  const settle = async (): Promise<void> => {
    await turn();
    for (let next = held.shift(); next !== undefined; next = held.shift()) {
      next();
      await turn();
    }
  };
  return { admission, ledger, settle };
}

test('while the desk says nothing, the own copy decides, and a place left is taken again for good', async () => {
  const { admission, ledger, settle } = behindADesk(4);
  const answers: PlaceAnswer[] = [];
  const enter = () => {
    const place = admission.enter('192.0.2.1');
    place?.confirm((answer) => answers.push(answer));
    return place;
  };
  const places = [enter(), enter(), enter(), enter()];
  assert.ok(places.every((place) => place !== undefined));
  assert.equal(enter(), undefined, 'a fifth');
  places[0]?.leave();
  assert.ok(enter() !== undefined, 'the place that was left');
  assert.deepEqual(answers, [], 'nobody was told before the desk spoke');
  await settle();
  assert.deepEqual(answers, Array(4).fill('granted'));
  assert.equal(ledger.total, 4);
});

test('what the desk refuses, with nothing given back since, is refused', async () => {
  const { admission, ledger, settle } = behindADesk(4);
  for (let count = 0; count < 4; count++) ledger.admit('another', '192.0.2.1');
  const answers: PlaceAnswer[] = [];
  admission.enter('192.0.2.1')?.confirm((answer) => answers.push(answer));
  await settle();
  assert.deepEqual(answers, ['too_many_connections']);
  assert.equal(ledger.total, 4);
});

test('who has left before his place is confirmed takes none at the desk', async () => {
  const { admission, ledger, settle } = behindADesk(4);
  const answers: PlaceAnswer[] = [];
  for (let count = 0; count < 8; count++) {
    const place = admission.enter('192.0.2.1');
    place?.leave();
    place?.confirm((answer) => answers.push(answer));
    await settle();
  }
  assert.deepEqual(answers, []);
  assert.equal(ledger.total, 0);
});
