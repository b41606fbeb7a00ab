/** HTTP of a node in a network, asked by a program that has read the OpenAPI document and nothing else. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRunFile } from '../../src/shared/process/run-file.js';
import { launchNetwork } from '../support/development-network.js';
import { TRANSPORTS } from '../support/notifications.js';
import { leaveHistory } from '../support/sample-history.js';
import { temporaryDirectory } from '../support/temporary.js';
import { waitFor, within } from '../support/wait.js';

// An event stream never ends, which this program waits for; `workers/websocket-server/` has its tests.
const ENDLESS = '/events';
// Cursors and times that the document allows may be of no history, which is an error; and that two parameters exclude one another it cannot say.
const NOT_SAYABLE = 'positive_data_acceptance';

// A build of uWebSockets.js knows the methods of its time, and closes a connection that asks for another.
const OLDER_METHODS = ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Statuses with which what the document does not allow may be refused: its own, and 414, which it does not think of for a query that is too long. */
const REFUSALS = [400, 401, 403, 404, 405, 406, 409, 414, 415, 422, 428, 429, '5xx'];

const HAR = 'asked.har';

/** What was asked and answered. */
interface Har {
  readonly log: {
    readonly entries: readonly {
      readonly request: { readonly method: string; readonly url: string };
      readonly response: { readonly status: number };
    }[];
  };
}

/**
 * In `directory`, where its settings are and it leaves what it remembers. `methods`: what else than the document's is tried; all unless told. Gives the paths that it asked for with the status of
 * each answer, GET alone.
 */
async function schemathesis(
  url: string,
  directory: string,
  methods?: readonly string[],
): Promise<readonly { readonly path: string; readonly status: number }[]> {
  const settings = [
    '[checks]',
    `negative_data_rejection.expected-statuses = ${JSON.stringify(REFUSALS)}`,
    ...(methods === undefined
      ? []
      : ['[phases.coverage]', `unexpected-methods = ${JSON.stringify(methods)}`]),
  ];
  writeFileSync(join(directory, 'schemathesis.toml'), `${settings.join('\n')}\n`);
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
    // It unpacks what it is sent, which a part of something packed is not for.
    '--header',
    'Accept-Encoding: identity',
    '--report-har-path',
    HAR,
    '--no-color',
  ];
  const child = spawn('schemathesis', args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const [code] = await within(once(child, 'close'), 600_000, 'schemathesis');
  assert.equal(code, 0, output);
  const { log } = JSON.parse(readFileSync(join(directory, HAR), 'utf8')) as Har;
  return log.entries
    .filter(({ request }) => request.method === 'GET')
    .map(({ request, response }) => ({ path: new URL(request.url).pathname, status: response.status }));
}

interface Listed {
  readonly segments: readonly {
    readonly first: number;
    readonly frames: number;
    readonly gaps: readonly object[];
  }[];
}

for (const transport of TRANSPORTS) {
  test(`what is answered through ${transport} is what the document says`, async (context) => {
    const network = await launchNetwork(context, ['--blocks', '1s', '--subtrees', '50ms'], {
      env: { p2p_websocket_transport: transport, p2p_websocket_trusted_source_cidrs: '127.0.0.0/8' },
      prepare: (data) => leaveHistory(join(data, 'node2', 'journal')),
    });
    const run = await waitFor(() => readRunFile(join(network.data, 'node2')), {
      what: 'node2 to listen',
      timeoutMs: 60_000,
    });
    const url = `http://127.0.0.1:${run.ports.http}`;
    const list = async () => ((await (await fetch(`${url}/api/v1/segments`)).json()) as Listed).segments;
    // One with frames, one with a gap, and one without frames.
    await waitFor(
      async () => {
        const segments = await list();
        return segments.some(({ gaps }) => gaps.length > 0) && segments.some(({ frames }) => frames === 0);
      },
      { what: 'segments in the archive', everyMs: 200 },
    );
    const methods = transport === 'uws' ? OLDER_METHODS : undefined;
    const answers = await schemathesis(url, temporaryDirectory(context), methods);
    // What it had of them: the whole, a part, and that nothing is new.
    const statuses = answers
      .filter(({ path }) => /\/segments\/[0-9a-f]{16}\/\d+$/.test(path))
      .map(({ status }) => status);
    for (const status of [200, 206, 304])
      assert.ok(statuses.includes(status), `${status} is not among ${[...new Set(statuses)]}`);
  });
}
