import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { SseHub } from '../../../src/workers/websocket-server/sse/hub.js';

/** What it was handed, a text a write. */
class Reader {
  readonly writes: string[] = [];
  take(messages: Uint8Array): void {
    this.writes.push(Buffer.from(messages).toString());
  }
}

const publish = (hub: SseHub, topic: string, text: string) => hub.publish(topic, Buffer.from(text));

describe('the hub of event streams', () => {
  it('brings what is published in one turn in one write, in order, whatever the mix of topics', async () => {
    const hub = new SseHub();
    const [both, one] = [new Reader(), new Reader()];
    hub.subscribe('a', both);
    hub.subscribe('b', both);
    hub.subscribe('b', one);
    publish(hub, 'a', '1');
    publish(hub, 'b', '2');
    publish(hub, 'a', '3');
    publish(hub, 'c', '4');
    await nextTurn();
    assert.deepEqual([both.writes, one.writes], [['123'], ['2']]);
    publish(hub, 'b', '5');
    await nextTurn();
    assert.deepEqual(
      [both.writes, one.writes],
      [
        ['123', '5'],
        ['2', '5'],
      ],
    );
  });

  it('brings what was published before it left, and nothing from before it joined', async () => {
    const hub = new SseHub();
    const [leaving, joining] = [new Reader(), new Reader()];
    hub.subscribe('a', leaving);
    publish(hub, 'a', '1');
    hub.subscribe('a', joining);
    publish(hub, 'a', '2');
    hub.unsubscribe('a', leaving);
    publish(hub, 'a', '3');
    await nextTurn();
    assert.deepEqual([leaving.writes.join(''), joining.writes.join('')], ['12', '23']);
  });

  it('has what concerns one alone come behind what was published', () => {
    const hub = new SseHub();
    const reader = new Reader();
    hub.subscribe('a', reader);
    publish(hub, 'a', '1');
    hub.flush(reader);
    assert.deepEqual(reader.writes, ['1']);
  });

  it('forgets who is gone, with what was for it', async () => {
    const hub = new SseHub();
    const [gone, there] = [new Reader(), new Reader()];
    for (const reader of [gone, there]) hub.subscribe('a', reader);
    publish(hub, 'a', '1');
    hub.leave(gone);
    publish(hub, 'a', '2');
    await nextTurn();
    assert.deepEqual([gone.writes, there.writes], [[], ['12']]);
    hub.leave(there);
    publish(hub, 'a', '3');
    await nextTurn();
    assert.deepEqual(there.writes, ['12']);
  });

  it('lets one leave another while it writes', async () => {
    const hub = new SseHub();
    const second = new Reader();
    const first = { take: () => hub.leave(second) };
    hub.subscribe('a', first);
    hub.subscribe('a', second);
    publish(hub, 'a', '1');
    await nextTurn();
    publish(hub, 'a', '2');
    await nextTurn();
    assert.ok(second.writes.length <= 1);
    assert.ok(!second.writes.join('').includes('2'));
  });
});
