import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { WebSocket } from 'ws';
import { feed } from '#feed';
import { within } from '../support/wait.js';
import { memoryStore, read } from './reading.js';
import { ScriptedServer } from './scripted-server.js';

const STORE = memoryStore('');

for (const [options, said] of [
  [{ kind: ['block'] }, /^kind is no option of a feed; there are url, kinds, /],
  [{ kind: undefined }, /^kind is no option/],
  [{ Cursor: 'oldest' }, /^Cursor is no option/],
  [{ kinds: [] }, /^kinds is empty: leave it out for all$/],
  [{ peers: [] }, /^peers is empty: leave it out for all$/],
  [{ token: 'secret\n' }, /^token has an end of line, or another control character$/],
  [{ kinds: 'block' }, /^kinds must be a list of names$/],
  [{ kinds: [''] }, /^kinds must be a list of names$/],
  [{ peers: [7] }, /^peers must be a list of names$/],
  [{ cursor: 'now', since: 0 }, /^since does not go with the cursor now$/],
  [{ cursor: 'oldest', since: '2026-11-30T01:00:00Z' }, /^since does not go with the cursor oldest$/],
  [{ cursor: 7 }, /^cursor must be a text, or a store with load and save$/],
  [{ cursor: null }, /^cursor must be a text, or a store/],
  [{ cursor: { load: () => '' } }, /^cursor must be a text, or a store/],
  [
    { cursor: { ...STORE, load: () => Buffer.from('e1.1') } },
    /^the cursor’s store: load gave an object and no text$/,
  ],
  [{ plain: true, kinds: [] }, /^kinds is empty/],
  [{ plain: true, kind: ['block'] }, /^kind is no option of a feed; there are url, (?!.*cursor)/],
  [{ plain: true, cursor: 'oldest' }, /^cursor does not go with plain$/],
  [{ plain: true, strict: true }, /^strict does not go with plain$/],
] as const)
  test(`a feed told ${inspect(options, { compact: true, depth: 1 })} is refused, by name, before it asks anybody`, async (context) => {
    const server = await ScriptedServer.listen(context);
    const { done } = read(context, { url: server.url, ...options } as never);
    await assert.rejects(within(done, 20_000, 'the end'), {
      name: 'TypeError',
      message: said,
    });
    assert.deepEqual(server.asked, []);
  });

test('what is undefined counts as not told, and a store goes with a time to begin at', async (context) => {
  const server = await ScriptedServer.listen(context);
  const [hash] = server.blocks(1);
  const nothing = {
    kinds: undefined,
    peers: undefined,
    token: undefined,
    batch: undefined,
    cursor: undefined,
  };
  for (const options of [
    { ...nothing, since: server.startMs },
    { cursor: STORE, since: server.startMs },
  ]) {
    for await (const event of feed({ url: server.url, WebSocket, ...(options as object) })) {
      assert.equal('hash' in event && event.hash, hash);
      break;
    }
  }
});
