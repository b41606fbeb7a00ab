import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AnnouncementQueue, type QueuedAnnouncement } from '../../../src/main/announce/announcement-queue.js';

test('when full, subtrees give way before blocks, the oldest first, and the order holds', async () => {
  const shed: string[] = [];
  const done: string[] = [];
  let open = (): void => {};
  const gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  const queue = new AnnouncementQueue({ waiting: () => {}, shed: (kind) => shed.push(kind) }, 3);
  const push = (kind: QueuedAnnouncement['kind'], name: string): void =>
    queue.push({
      kind,
      announce: async () => {
        await gate;
        done.push(name);
      },
    });
  push('block', 'under way');
  push('block', 'b1');
  push('subtree', 's1');
  push('subtree', 's2');
  push('block', 'b2');
  push('block', 'b3');
  push('block', 'b4');
  open();
  await queue.idle();
  assert.deepEqual(shed, ['subtree', 'subtree', 'block']);
  assert.deepEqual(done, ['under way', 'b2', 'b3', 'b4']);
});

test('one that fails does not stop the next', async () => {
  const done: string[] = [];
  const queue = new AnnouncementQueue({ waiting: () => {}, shed: () => {} });
  queue.push({ kind: 'block', announce: () => Promise.reject(new Error('no')) });
  queue.push({ kind: 'block', announce: async () => void done.push('next') });
  await queue.idle();
  assert.deepEqual(done, ['next']);
});
