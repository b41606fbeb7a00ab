import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Cursor, cursorNames } from '../../../src/shared/journal/cursor.js';
import { temporaryDirectory } from '../../support/temporary.js';

const EPOCH = '0123456789abcdef';
const NAME = 'blocks.kafka';

describe('a cursor', () => {
  it('is new, then stands where it was moved to, over restarts', (context) => {
    const directory = join(temporaryDirectory(context), 'cursors');
    assert.deepEqual(cursorNames(directory), []);
    const first = Cursor.open({ directory, name: NAME });
    assert.equal(first.found, 'new');
    assert.equal(first.at, undefined);
    assert.throws(() => first.move({ epoch: EPOCH, position: 1 }));
    first.reset({ epoch: EPOCH, position: 5 });
    for (let position = 6; position < 20; position++) {
      first.move({ epoch: EPOCH, position });
      const found = Cursor.open({ directory, name: NAME });
      assert.deepEqual(found.found, { epoch: EPOCH, position });
      assert.deepEqual(found.at, first.at);
      found.close();
    }
    first.move({ epoch: 'ffffffffffffffff', position: 2 ** 52 });
    first.close();
    const second = Cursor.open({ directory, name: NAME });
    assert.deepEqual(second.found, { epoch: 'ffffffffffffffff', position: 2 ** 52 });
    second.move({ epoch: EPOCH, position: 3 });
    second.close();
    assert.deepEqual(Cursor.open({ directory, name: NAME }).found, { epoch: EPOCH, position: 3 });
    assert.deepEqual(cursorNames(directory), [NAME]);
    Cursor.open({ directory, name: NAME }).remove();
    assert.equal(Cursor.open({ directory, name: NAME }).found, 'new');
    assert.throws(() => Cursor.open({ directory, name: '../up' }), RangeError);
  });

  it('that was cut in a write, or has a bit flipped, stands where it stood before; with both slots damaged it says so', (context) => {
    const directory = temporaryDirectory(context);
    const cursor = Cursor.open({ directory, name: NAME });
    cursor.reset({ epoch: EPOCH, position: 5 });
    cursor.move({ epoch: EPOCH, position: 6 });
    const before = readFileSync(join(directory, `${NAME}.cursor`));
    cursor.move({ epoch: EPOCH, position: 700 });
    cursor.close();
    const path = join(directory, `${NAME}.cursor`);
    const after = readFileSync(path);
    const changed = [...after.keys()].filter((at) => after[at] !== before[at]);
    for (let at = Math.min(...changed); at <= Math.max(...changed); at++) {
      // As far as the write came, over what was there.
      writeFileSync(path, Buffer.concat([after.subarray(0, at), before.subarray(at)]));
      assert.deepEqual(Cursor.open({ directory, name: NAME }).found, { epoch: EPOCH, position: 6 });
    }
    const flipped = Buffer.from(after);
    for (let bit = 0; bit < 36 * 8; bit++) {
      for (const slot of [0, 4096]) {
        flipped.set(after);
        flipped[slot + (bit >> 3)] = (flipped[slot + (bit >> 3)] as number) ^ (1 << (bit & 7));
        writeFileSync(path, flipped);
        const { found } = Cursor.open({ directory, name: NAME });
        assert.deepEqual(found, { epoch: EPOCH, position: slot === 0 ? 6 : 700 });
      }
    }
    flipped.set(after);
    flipped[4] = 0;
    flipped[4100] = 0;
    writeFileSync(path, flipped);
    const damaged = Cursor.open({ directory, name: NAME });
    assert.equal(damaged.found, 'damaged');
    damaged.reset({ epoch: EPOCH, position: 9 });
    damaged.close();
    assert.deepEqual(Cursor.open({ directory, name: NAME }).found, { epoch: EPOCH, position: 9 });
    for (const length of [0, 1, 4096]) {
      writeFileSync(path, Buffer.alloc(length));
      assert.equal(Cursor.open({ directory, name: NAME }).found, 'damaged');
    }
  });
});
