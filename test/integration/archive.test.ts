/** A server archives what its journal has sealed, unless it is told not to. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Archive } from '../../src/shared/archive/archive.js';
import { sumOf } from '../support/gossip.js';
import { segmentFiles, TestJournal } from '../support/journal.js';
import { serverSettings, startServer } from '../support/server.js';
import { waitFor } from '../support/wait.js';

for (const isOn of [true, false]) {
  test(`what the journal has sealed is ${isOn ? '' : 'not '}archived`, async (context) => {
    const settings = serverSettings(context, { p2p_notification_servers: 1, p2p_feed_archive: isOn });
    const directory = join(settings.DATADIR, 'journal');
    const before = new TestJournal(directory, { segmentBytes: 4000 });
    for (let n = 0; n < 60; n++) before.append([`${n}`]);
    before.journal.close();
    const { server } = await startServer(context, settings);
    const line = (await server.health(false)).dependencies.find(({ resource }) => resource === 'archive');
    if (!isOn) {
      assert.equal(line, undefined);
      assert.ok(!existsSync(join(directory, 'archive')));
      assert.ok(!(await server.scrape()).includes('teranode_p2p_archive'));
      return;
    }
    assert.equal(line?.status, 200);
    const archive = new Archive({ directory });
    const sealed = segmentFiles(directory).length - 1;
    await waitFor(() => archive.list().length === sealed, {
      what: 'the archive',
      timeoutMs: 120_000,
    });
    assert.equal(sumOf(await server.scrape(), 'teranode_p2p_archive_segments'), sealed);
  });
}
