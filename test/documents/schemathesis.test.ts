/** HTTP of a node in a network, asked by a program that has read the OpenAPI document and nothing else. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRunFile } from '../../src/shared/process/run-file.js';
import { launchNetwork } from '../support/development-network.js';
import { TRANSPORTS } from '../support/notifications.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

// An event stream never ends, which this program waits for; `workers/websocket-server/` has its tests.
const ENDLESS = '/events';
// Cursors and times that the document allows may be of no history, which is an error; and that two parameters exclude one another it cannot say.
const NOT_SAYABLE = 'positive_data_acceptance';

// A build of uWebSockets.js knows the methods of its time, and closes a connection that asks for another.
const OLDER_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** In `directory`, where its settings are and it leaves what it remembers. `methods`: what else than the document's is tried; all unless told. */
async function schemathesis(url: string, directory: string, methods?: readonly string[]): Promise<void> {
  if (methods !== undefined) {
    const settings = `[phases.coverage]\nunexpected-methods = ${JSON.stringify(methods)}\n`;
    writeFileSync(join(directory, 'schemathesis.toml'), settings);
  }
  const args = [
    'run',
    `${url}/api/v1/openapi.json`,
    '--exclude-path',
    ENDLESS,
    '--exclude-checks',
    NOT_SAYABLE,
    '--max-examples',
    '50',
    '--seed',
    '1',
    '--no-color',
  ];
  const child = spawn('schemathesis', args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const [code] = await within(once(child, 'close'), 600_000, 'schemathesis');
  assert.equal(code, 0, output);
}

for (const transport of TRANSPORTS) {
  test(`what is answered through ${transport} is what the document says`, async (context) => {
    const network = await launchNetwork(context, ['--blocks', '1s', '--subtrees', '50ms'], {
      env: { p2p_websocket_transport: transport, p2p_websocket_trusted_source_cidrs: '127.0.0.0/8' },
    });
    const run = await waitFor(() => readRunFile(join(network.data, 'node2')), {
      what: 'node2 to listen',
      timeoutMs: 60_000,
    });
    const methods = transport === 'uws' ? OLDER_METHODS : undefined;
    await schemathesis(`http://127.0.0.1:${run.ports.http}`, temporaryDirectory(context), methods);
  });
}
