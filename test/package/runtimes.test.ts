/** The consumers' library on the other runtimes that it is for, as npm has them. */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ScriptedServer } from '../client/scripted-server.js';
import { SharedByTests, temporaryDirectory } from '../support/temporary.js';
import { waitFor } from '../support/wait.js';

const { NODE_V8_COVERAGE: _, NODE_TEST_CONTEXT: __, ...ENV } = process.env;
const run = promisify(execFile);

/** Each with how it runs a program. */
const RUNTIMES = [
  ['bun', 'bun@1', ['run']],
  ['deno', 'deno@2', ['run', '--allow-all', '--no-lock']],
] as const;

const shared = new SharedByTests();
let folder: string;

before(async () => {
  folder = temporaryDirectory(shared);
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  const packages = RUNTIMES.map(([, name]) => name);
  await run('npm', ['install', '--no-save', ...packages], { cwd: folder, env: ENV });
  symlinkSync(resolve('client'), join(folder, 'node_modules/teranode-p2p-feed'));
});
after(() => shared.clean());

const program = (url: string) => `import { feed } from 'teranode-p2p-feed';
let blocks = 0;
const options = { url: ${JSON.stringify(url)}, cursor: 'oldest', token: 'secret', batch: 100, gzip: true, retryMs: 200 };
for await (const event of feed(options)) if (event.type === 'block' && ++blocks === 20) break;
console.log('blocks', blocks);
`;

for (const [name, , args] of RUNTIMES)
  test(`the library goes on over a restart of the server on ${name}, with compressed batches and a token in the header`, async (context) => {
    const server = await ScriptedServer.listen(context);
    server.blocks(10);
    const own = join(folder, name);
    mkdirSync(own);
    writeFileSync(join(own, 'program.mjs'), program(server.url));
    const ended = run(join(folder, 'node_modules/.bin', name), [...args, join(own, 'program.mjs')], {
      cwd: folder,
      env: ENV,
      timeout: 120_000,
    });
    await waitFor(() => server.live.length === 1, { what: 'a reader', timeoutMs: 60_000 });
    await server.stop();
    server.blocks(10);
    await server.start();
    assert.equal((await ended).stdout, 'blocks 20\n');
    assert.deepEqual(
      server.asked.map(({ headers, parameters }) => [headers.authorization, parameters.cursor]),
      [
        ['Bearer secret', 'oldest'],
        ['Bearer secret', 'e1.10'],
      ],
    );
  });
