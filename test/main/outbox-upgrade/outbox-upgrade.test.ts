/** Outboxes that earlier releases left, as their own code wrote them, and what becomes of them. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ClassicLevel } from 'classic-level';
import { upgradeOutbox } from '../../../src/main/outbox-upgrade/index.js';
import { journalBounds } from '../../../src/shared/journal/bounds.js';
import { decodeEntry } from '../../../src/shared/journal/entry.js';
import { JournalReader } from '../../../src/shared/journal/reader.js';
import { nodeStatus } from '../../../src/shared/messages/index.js';
import { bootId } from '../../../src/shared/process/boot.js';
import { recordsIn, type ServedBroker, serveBroker } from '../../support/embedded-broker.js';
import { keptLog } from '../../support/logger.js';
import {
  announcement,
  followFrames,
  type PublisherUnderTest,
  startPublisher,
} from '../../support/publisher.js';
import { settingsOf } from '../../support/settings.js';
import { temporaryDirectory } from '../../support/temporary.js';
import { waitFor } from '../../support/wait.js';

const BOUNDS = journalBounds(settingsOf());
const PROCESS = fileURLToPath(new URL('../../support/upgrade-process.js', import.meta.url));
const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, i) => from + i);

/** What the newest release left (`test/fixtures/released-outbox`): a broker refused two records, then there was none. */
const RELEASED = {
  epoch: '00f4e606a25c40f7',
  frames: { from: 18, to: 79 },
  notified: 30,
  /** One chunk was damaged, and is set aside in it. */
  blocks: upTo(24, 10)
    .filter((n) => n !== 14)
    .flatMap((n) => [`block ${n}`, `block ${n}`]),
  subtrees: upTo(24, 11)
    .filter((n) => n % 2 === 1)
    .map((n) => `subtree ${n}`),
  letters: ['block 3', 'subtree 5'],
};
/** What the first format left (`test/fixtures/outbox-format-1.json`): the first two batches were in Kafka. */
const FIRST = {
  epoch: '1c4812a45aa0f7f2',
  frames: { from: 0, to: 16 },
  notified: 11,
  blocks: upTo(12, 2).flatMap((n) => [`block ${n}`, `block ${n} again`]),
  subtrees: upTo(12, 2)
    .filter((n) => n % 2 === 1)
    .map((n) => `subtree ${n}`),
  letters: ['a refused block', 'a refused subtree'],
};

type Level = ClassicLevel<string, Buffer>;

/** Changes what is in the outbox below `directory`. */
async function edit(directory: string, change: (level: Level) => Promise<void>): Promise<void> {
  const level: Level = new ClassicLevel(join(directory, 'outbox'), { valueEncoding: 'buffer' });
  await change(level);
  await level.close();
}

/** A data directory as the newest release left it; what it remembers was announced a minute ago. */
async function released(context: TestContext): Promise<string> {
  const directory = temporaryDirectory(context);
  cpSync(resolve('test/fixtures/released-outbox'), join(directory, 'outbox'), { recursive: true });
  await edit(directory, async (level) => {
    const repeats = await level.iterator({ gte: 'repeats/', lt: 'repeats0' }).all();
    const at = String(Date.now() - 60_000).padStart(16, '0');
    for (const [n, [key, value]] of repeats.entries()) {
      await level.del(key);
      await level.put(`repeats/${at}/${String(n).padStart(16, '0')}`, value);
    }
  });
  return directory;
}

/** The same of the first format. */
async function firstFormat(context: TestContext): Promise<string> {
  const directory = temporaryDirectory(context);
  const pairs = JSON.parse(readFileSync(resolve('test/fixtures/outbox-format-1.json'), 'utf8'));
  await edit(directory, async (level) => {
    for (const [key, value] of Object.entries(pairs as Record<string, string>))
      await level.put(key, Buffer.from(value, 'base64'));
  });
  return directory;
}

async function upgrade(directory: string, boot?: string) {
  const log = keptLog();
  await upgradeOutbox(
    { logger: log.logger },
    { directory, bounds: BOUNDS, ...(boot === undefined ? {} : { boot }) },
  );
  return log;
}

const valuesIn = async ({ broker }: ServedBroker, topic: string): Promise<string[]> =>
  (await recordsIn(broker, topic)).map(({ value }) => Buffer.from(value).toString().trim());

/** Entries of the journal below `directory`. */
function entriesIn(directory: string) {
  const reader = new JournalReader({ directory: join(directory, 'journal') });
  const { entries, epoch, gap } = reader.read(0, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
  reader.close();
  assert.equal(gap, undefined);
  return { epoch, entries: entries.map(({ bytes, seq }) => ({ ...decodeEntry(bytes), seq })) };
}

const frameText = ({ seq, frame }: { seq: number; frame: Uint8Array }): [number, string] => [
  seq,
  Buffer.from(frame).toString(),
];

for (const [name, make, left] of [
  ['the newest release', released, RELEASED],
  ['the first format', firstFormat, FIRST],
] as const) {
  test(`a publisher on the upgraded outbox of ${name} gives Kafka what waits, in order, and goes on in the sequence`, async (context) => {
    const directory = await make(context);
    await upgrade(directory);
    assert.equal(existsSync(join(directory, 'outbox')), false);
    const { epoch, entries } = entriesIn(directory);
    const frames = entries.filter(({ frame }) => frame.length > 0);
    assert.equal(epoch, left.epoch);
    assert.deepEqual(
      frames.map(({ seq }) => seq),
      upTo(left.frames.to, left.frames.from),
    );
    const broker = await serveBroker(context);
    const publisher = startPublisher(context, broker.socketPath, NOTIFIED, directory);
    await publisher.run('health', {});
    const heard = followFrames(context, publisher.config.frameSocketPath);
    await waitFor(heard.connected, { what: 'the reader' });
    await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the outbox to drain' });
    assert.deepEqual(await valuesIn(broker, 'blocks'), left.blocks);
    assert.deepEqual(await valuesIn(broker, 'subtrees'), left.subtrees);
    const letters = await publisher.run('deadLetters', { limit: 10 });
    assert.deepEqual(
      letters.map(({ topic }) => topic),
      ['blocks', 'subtrees'],
    );
    assert.ok(letters.every(({ reason, at }) => reason !== '' && at > 1_700_000_000_000));
    assert.deepEqual(await publisher.run('replayDeadLetters', {}), { replayed: 2 });
    await waitFor(async () => (await publisher.waiting()) === 0, { what: 'the letters to arrive' });
    const values = [...(await valuesIn(broker, 'blocks')), ...(await valuesIn(broker, 'subtrees'))];
    assert.deepEqual(
      values.filter((value) => left.letters.includes(value)),
      left.letters,
    );
    await publisher.publish([announcement('new')]);
    await waitFor(() => heard.seqs.at(-1) === left.frames.to, { what: 'the next number' });
    await notifiedFrom(publisher, broker, left);
    assert.equal(await publisher.close(), 0);
  });
}

const NOTIFIED = { kafka_notificationsConfig: 'memory://embedded/notifications' };

/** The notifications topic goes on where it was, in the same epoch. */
async function notifiedFrom(
  publisher: PublisherUnderTest,
  broker: ServedBroker,
  { notified, frames, epoch }: typeof RELEASED,
): Promise<void> {
  const due = upTo(frames.to + 1, notified);
  await waitFor(async () => (await valuesIn(broker, 'notifications')).length >= due.length, {
    what: 'the frames that are owed',
  });
  const told = (await valuesIn(broker, 'notifications')).map((value) => JSON.parse(value));
  assert.deepEqual(
    told.map(({ seq }) => seq),
    due,
  );
  assert.ok(told.every((frame) => frame.epoch === epoch));
  assert.equal(await publisher.metric('teranode_p2p_notifications_records_total', { outcome: 'lost' }), 0);
}

test('frames keep their contents, and what was announced before the upgrade is a repeat after it', async (context) => {
  const directory = await released(context);
  await upgrade(directory);
  const frames = entriesIn(directory).entries.filter(({ frame }) => frame.length > 0);
  const own = frames.filter((frame) => frame.own);
  assert.deepEqual(frameText(own.at(-1) ?? assert.fail()), [74, '{"type":"node_status","n":22,"own":true}']);
  assert.ok(own.every(({ kind }) => kind === nodeStatus.id));
  const publisher = startPublisher(context, join(directory, 'broker.sock'), {}, directory);
  const block = (n: number, author = `peer ${n % 3}`) => announcement(`block ${n}`, { author });
  assert.deepEqual(
    await publisher.outcomes([block(0), block(23), block(23, 'another'), block(24), block(24)]),
    ['repeat', 'repeat', 'repeat', 'ok', 'repeat'],
  );
});

test('records that were set aside or cannot be read are kept where they are, told of, and hold up nothing', async (context) => {
  const directory = await released(context);
  await edit(directory, async (level) => {
    const [key = ''] = await level.keys({ gte: 'entries/subtrees/', lt: 'entries/subtrees0' }).all();
    const value = Buffer.from((await level.get(key)) ?? []);
    value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1);
    await level.put(key, value);
  });
  const { lines } = await upgrade(directory);
  const kept = join(directory, `outbox.damaged.${RELEASED.epoch}`);
  assert.equal(lines.filter(({ msg, path }) => /damaged/.test(String(msg)) && path === kept).length, 1);
  const level: Level = new ClassicLevel(kept, { valueEncoding: 'buffer' });
  assert.equal((await level.keys({ gte: 'damaged/', lt: 'damaged0' }).all()).length, 1);
  await level.close();
  const values = entriesIn(directory).entries.flatMap(({ record }) =>
    record === undefined ? [] : [Buffer.from(record.value).toString()],
  );
  assert.deepEqual(values, [...RELEASED.blocks, ...RELEASED.subtrees.slice(1)]);
});

test('an upgrade from the first format to the second that was interrupted is read whole', async (context) => {
  const directory = await firstFormat(context);
  const { createHash } = await import('node:crypto');
  const reached = 'entries/blocks/0000000000000007/2';
  await edit(directory, async (level) => {
    const sealed = { gte: 'dead/', lte: reached };
    for (const [key, value] of await level.iterator(sealed).all()) {
      if (!/^(dead|entries)\//.test(key)) continue;
      const seal = createHash('sha256').update(value).digest().subarray(0, 8);
      await level.put(key, Buffer.concat([seal, value]));
    }
    await level.put('format', Buffer.from('2'));
    await level.put('upgraded', Buffer.from(reached));
  });
  await upgrade(directory);
  const { entries } = entriesIn(directory);
  const values = entries.flatMap(({ record }) => (record ? [Buffer.from(record.value).toString()] : []));
  assert.deepEqual(values, [...FIRST.blocks, ...FIRST.subtrees]);
  assert.equal(entries.filter(({ frame }) => frame.length > 0).length, 16);
});

test('a machine that went down with the outbox open begins a new epoch, and the sequence goes on', async (context) => {
  for (const [unsynced, boot, same] of [
    ['first', 'second', false],
    ['first', 'first', true],
    ['safe', 'second', true],
  ] as const) {
    const directory = await released(context);
    await edit(directory, (level) => level.put('unsynced', Buffer.from(unsynced)));
    const { lines } = await upgrade(directory, boot);
    const { epoch, entries } = entriesIn(directory);
    assert.equal(epoch === RELEASED.epoch, same, `${unsynced} ${boot}`);
    assert.equal(entries.filter(({ frame }) => frame.length > 0).at(-1)?.seq, 78);
    assert.equal(
      lines.some(({ msg }) => /a new epoch begins/.test(String(msg))),
      !same,
    );
  }
});

test('what cannot be taken over is left as it is, and the error says what to do', async (context) => {
  const left = (directory: string) => readdirSync(directory).sort();
  const cases: [change: (level: Level) => Promise<void>, said: RegExp][] = [
    [
      (level) => level.put('format', Buffer.from('3')),
      /format 3: this version reads 1 to 2.*restore it, or move it/,
    ],
    [(level) => level.put('format', Buffer.from('?')), /has format \?/],
    [
      async (level) => {
        const [, key = ''] = await level.keys({ gte: 'frames/', lt: 'frames0' }).all();
        await level.del(key);
      },
      /frames 21 to 23 are missing.*restore it/,
    ],
  ];
  for (const [change, said] of cases) {
    const directory = await released(context);
    await edit(directory, change);
    await assert.rejects(upgrade(directory), (error: Error) => {
      assert.equal(error.name, 'OutboxUnusableError');
      assert.ok(error.message.includes(join(directory, 'outbox')));
      assert.match(error.message, said);
      return true;
    });
    assert.ok(left(directory).includes('outbox') && !left(directory).includes('journal'));
  }
  const corrupt = await released(context);
  const manifest = readdirSync(join(corrupt, 'outbox')).find((name) => name.startsWith('MANIFEST')) ?? '';
  writeFileSync(join(corrupt, 'outbox', manifest), 'this is no manifest at all, not even nearly');
  await assert.rejects(upgrade(corrupt), /cannot be taken over.*move it away/s);
  const returned = await released(context);
  mkdirSync(join(returned, 'journal'));
  await assert.rejects(upgrade(returned), /beside the journal: that version ran here after this one/);
});

/** All that the upgrade made below `directory`. */
function madeIn(directory: string): unknown {
  const { epoch, entries } = entriesIn(directory);
  const journal = join(directory, 'journal');
  const files = (name: string) =>
    readdirSync(join(journal, name))
      .sort()
      .map((file) => [file, readFileSync(join(journal, name, file)).toString('hex')]);
  return {
    epoch,
    entries,
    cursors: files('cursors'),
    letters: files('dead-letters'),
    left: readdirSync(directory).sort(),
  };
}

/** Ends the way that a death at the file system call number `call` does; gives the number of calls where there were fewer. */
async function dieAt(context: TestContext, directory: string, call: number): Promise<number | undefined> {
  const child = spawn(process.execPath, [PROCESS, directory, String(call)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_V8_COVERAGE: '' },
  });
  context.after(() => child.kill('SIGKILL'));
  let said = '';
  child.stdout.on('data', (text) => {
    said += String(text);
  });
  const [, signal] = await once(child, 'close');
  if (signal !== 'SIGKILL') assert.notEqual(said, '', 'it came to its end');
  return signal === 'SIGKILL' ? undefined : Number(said);
}

test('an upgrade that SIGKILL interrupts, wherever, is done by the next start, and does nothing twice', async (context) => {
  const fresh = await released(context);
  const copy = (): string => {
    const directory = temporaryDirectory(context);
    cpSync(fresh, directory, { recursive: true });
    return directory;
  };
  const whole = copy();
  const calls = (await dieAt(context, whole, Number.POSITIVE_INFINITY)) ?? 0;
  assert.ok(calls > 20, `${calls} calls`);
  const expected = madeIn(whole);
  // Every step of the end, where files take their places, and some of those before.
  const moments = [...upTo(calls, calls - 8), 0, 1, Math.floor(calls / 4), Math.floor(calls / 2)];
  for (const moment of moments) {
    const directory = copy();
    assert.equal(await dieAt(context, directory, moment), undefined, `died at ${moment} of ${calls}`);
    if (moment % 3 === 0) await dieAt(context, directory, Math.floor(moment / 2));
    await upgrade(directory);
    assert.deepEqual(madeIn(directory), expected, `died at call ${moment} of ${calls}`);
  }
  context.diagnostic(`died at ${moments.length} of ${calls} calls`);
});

test('a boot is the same text until the machine starts anew', () => {
  assert.equal(bootId(), bootId());
  assert.notEqual(bootId(), '');
});
