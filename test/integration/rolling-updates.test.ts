/** Rolling updates: under traffic, each server is ended once the next, on the same data directory, is ready. */

import { test } from 'node:test';
import { localSocketPath } from '../../src/shared/ipc/socket-path.js';
import { announcementOf } from '../support/announced-records.js';
import { TOPICS } from '../support/deaths/oracle.js';
import { dieAtRandom } from '../support/deaths/run.js';
import { recordsIn, serveBroker } from '../support/embedded-broker.js';
import { temporaryDirectory } from '../support/temporary.js';

test('through rolling updates journal, topics and clients have what was accepted: all of it, once, in each author’s order, in one epoch', async (context) => {
  const directory = temporaryDirectory(context);
  const { broker } = await serveBroker(context, {}, localSocketPath(directory, 'broker.sock'));
  await dieAtRandom(context, {
    lives: 5,
    rolling: true,
    settings: { DATADIR: directory },
    records: async (kind) =>
      (await recordsIn(broker, TOPICS[kind])).map(({ key, value }) =>
        announcementOf(key, value ?? Buffer.alloc(0)),
      ),
    looksOften: true,
  });
});
