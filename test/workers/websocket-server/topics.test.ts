/** What the transports do for filters, replay and clients that are told why they are refused. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Topics } from '../../../src/workers/websocket-server/transport/ws-topics.js';
import { TRANSPORTS } from '../../support/notifications.js';
import { type Heard, hear, openTransport } from '../../support/transport.js';
import { waitFor } from '../../support/wait.js';

const range = (count: number) => Array.from({ length: count }, (_, index) => index);
const end = (each: Heard) => each.messages.at(-1) === 'end';

for (const transport of TRANSPORTS)
  describe(`topics on ${transport}`, () => {
    it('what is published in one turn reaches each socket in the order of publishing, once a topic', async (t) => {
      const opened = await openTransport(t, transport, {
        open: (socket) => {
          for (const topic of socket.data) socket.subscribe(topic);
        },
      });
      const clients = new Map<string, Heard>();
      for (const topics of ['a', 'b', 'ab', 'cb', 'abc', 'd'])
        clients.set(topics, await hear(t, opened, topics));
      const published: (readonly [topic: string, message: string])[] = range(300).map((n) => {
        const topic = ['a', 'b', 'c', 'nobody'][(n * 7 + Math.floor(n / 5)) % 4] ?? '';
        // Some of them are longer than what the library gathers for one write.
        return [topic, `${topic}${n}${'.'.repeat(n % 50 === 49 ? 20_000 : n)}`];
      });
      for (let from = 0; from < published.length; from += 100) {
        for (const [topic, message] of published.slice(from, from + 100))
          opened.listener.publish(topic, message);
        await new Promise((resolve) => setImmediate(resolve));
      }
      for (const socket of opened.sockets) socket.send('end');
      for (const [topics, client] of clients) {
        await waitFor(() => end(client), { what: `all of ${topics}` });
        const expected = published.filter(([topic]) => topics.includes(topic)).map(([, message]) => message);
        assert.deepEqual(client.messages, [...expected, 'end'], topics);
      }
    });

    it('text and binary messages come as such, in their order', async (t) => {
      const opened = await openTransport(t, transport, { open: (socket) => socket.subscribe('a') });
      const client = await hear(t, opened);
      const bytes = Buffer.from(range(256));
      opened.listener.publish('a', bytes, true);
      opened.listener.publish('a', 'text');
      opened.listener.publish('a', bytes, true);
      opened.sockets[0]?.send(bytes, true);
      opened.sockets[0]?.send('end');
      await waitFor(() => end(client), { what: 'all messages' });
      const binary = `binary:${bytes.toString('latin1')}`;
      assert.deepEqual(client.messages, [binary, 'text', binary, binary, 'end']);
    });

    it('a socket that leaves its last topic in the turn of a publish loses nothing that was published before', async (t) => {
      const opened = await openTransport(t, transport);
      const client = await hear(t, opened);
      const [socket] = opened.sockets;
      const rounds = 20;
      for (const round of range(rounds)) {
        socket?.subscribe('a');
        for (const n of range(50)) opened.listener.publish('a', `${round}.${n}`);
        socket?.unsubscribe('a');
        opened.listener.publish('a', 'too late');
        // Half of the time it gets something else in the same turn, as one does that goes on by itself.
        if (round % 2 === 0) socket?.send(`${round} goes on`);
        await new Promise((resolve) => setImmediate(resolve));
      }
      socket?.send('end');
      await waitFor(() => end(client), { what: 'the end' });
      const expected = range(rounds).flatMap((round) => [
        ...range(50).map((n) => `${round}.${n}`),
        ...(round % 2 === 0 ? [`${round} goes on`] : []),
      ]);
      assert.deepEqual(client.messages, [...expected, 'end']);
    });

    it('a socket gets what is published once it has subscribed, and nothing before', async (t) => {
      const opened = await openTransport(t, transport);
      const client = await hear(t, opened);
      const [socket] = opened.sockets;
      opened.listener.publish('a', 'before');
      assert.equal(socket?.subscribe('a'), true);
      assert.equal(socket?.subscribe('b'), true);
      opened.listener.publish('a', 'one');
      opened.listener.publish('b', 'two');
      socket?.unsubscribe('a');
      opened.listener.publish('a', 'three');
      opened.listener.publish('b', 'four');
      socket?.send('end');
      await waitFor(() => end(client), { what: 'the end' });
      assert.deepEqual(client.messages, ['one', 'two', 'four', 'end']);
    });

    it('many messages at once come whole and in order, whatever their lengths', async (t) => {
      const opened = await openTransport(t, transport);
      const client = await hear(t, opened);
      const lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000, 0, 16_383, 16_384];
      const messages = [
        ...lengths.map((length) => 'x'.repeat(length)),
        ...range(5000).map((n) => `message ${n}`),
        'end',
      ];
      opened.sockets[0]?.sendAll([]);
      opened.sockets[0]?.sendAll(messages.map((message) => Buffer.from(message)));
      await waitFor(() => end(client), { what: 'all messages' });
      assert.deepEqual(client.messages, messages);
    });

    it('tells what waits for a client that does not read, and when it was taken', async (t) => {
      let drained = 0;
      const opened = await openTransport(t, transport, { drain: () => drained++ });
      const client = await hear(t, opened);
      const [socket] = opened.sockets;
      client.socket.pause();
      const message = Buffer.alloc(60_000, 'x');
      let sent = 0;
      // The system takes some MiB for who does not read.
      while (Number(socket?.bufferedBytes()) < 1_000_000) {
        socket?.send(message);
        sent++;
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(drained, 0);
      client.socket.resume();
      await waitFor(() => drained > 0 && socket?.bufferedBytes() === 0, { what: 'all to be taken' });
      socket?.send('end');
      await waitFor(() => end(client), { what: 'the end' });
      assert.equal(client.messages.length, sent + 1);
    });

    it('a client that was let in to be told why it is not gets the message, the code and the reason', async (t) => {
      const opened = await openTransport(t, transport, {
        open: (socket) => {
          socket.send('{"type":"error"}');
          socket.end(4400, 'bad parameter');
        },
      });
      const client = await hear(t, opened);
      await waitFor(() => client.closed !== undefined, { what: 'the end' });
      assert.deepEqual([client.messages, client.closed], [['{"type":"error"}'], [4400, 'bad parameter']]);
    });
  });

describe('the topics of the transport on ws', () => {
  it('cost each subscriber one write a turn, however topics alternate, and who has the same topics the same bytes', async () => {
    const topics = new Topics<{ write(frames: Buffer): void }>();
    const members = ['a', 'b', 'ab', 'ab', 'c'].map((wanted) => {
      const writes: Buffer[] = [];
      const member = { wanted, writes, write: (frames: Buffer) => writes.push(frames) };
      for (const topic of wanted) topics.add(member, topic);
      return member;
    });
    for (const n of range(100)) topics.publish(n % 2 === 0 ? 'a' : 'b', `message ${n}`, false);
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(
      members.map(({ writes }) => writes.length),
      [1, 1, 1, 1, 0],
    );
    assert.equal(members[2]?.writes[0], members[3]?.writes[0]);
  });

  it('keep nothing of who has gone, and frame nothing for nobody', () => {
    const topics = new Topics<{ write(frames: Buffer): void }>();
    const writes: string[] = [];
    const member = { write: (frames: Buffer) => writes.push(frames.toString('latin1', 2)) };
    topics.publish('a', 'nobody', false);
    topics.add(member, 'a');
    topics.publish('a', 'one', false);
    topics.remove(member, 'a');
    topics.publish('a', 'two', false);
    topics.flush();
    assert.deepEqual(writes, ['one']);
  });
});
