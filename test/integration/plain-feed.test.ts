/**
 * Who connects to the feed without parameters gets, byte for byte, what commit 4678936 sent: `test/fixtures/plain-feed.json` is a session with
 * the server of that commit. `RENEW=<its checkout, built> npm test -- plain-feed` records it again.
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { chooseTransport } from '../../src/workers/websocket-server/transport/index.js';
import { type FeedSession, playFeedSession } from '../support/feed-session.js';
import { TRANSPORTS } from '../support/notifications.js';

const FIXTURE = resolve('test/fixtures/plain-feed.json');
const { RENEW } = process.env;

if (RENEW !== undefined)
  test('a session is recorded', async (context) => {
    const session = await playFeedSession(context, { root: RENEW });
    writeFileSync(FIXTURE, `${JSON.stringify(session, null, 2)}\n`);
  });

const recorded = (): FeedSession => JSON.parse(readFileSync(FIXTURE, 'utf8'));

/** By names in lower case. That a library tells its name and the time, and in what order it writes, is its own. */
const headOf = ([status, ...lines]: readonly string[]) => {
  const headers = lines.map((line): [string, string] => {
    const [name = '', ...value] = line.split(': ');
    return [name.toLowerCase(), value.join(': ')];
  });
  return {
    status,
    headers: Object.fromEntries(headers.filter(([name]) => !['uwebsockets', 'date'].includes(name))),
  };
};

for (const transport of TRANSPORTS)
  test(`the feed without parameters is as it was: ${transport}`, async (context) => {
    const played = await playFeedSession(context, { set: { p2p_websocket_transport: transport } });
    const { handshake, ...session } = played;
    const { handshake: formerly, ...former } = recorded();
    assert.deepEqual(session, former);
    const isSameLibrary = transport === 'uws' && chooseTransport('uws', []).build.includes('compat');
    if (isSameLibrary) assert.deepEqual(handshake, formerly);
    assert.deepEqual(headOf(handshake), headOf(formerly));
  });
