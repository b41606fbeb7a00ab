/** The examples in other languages, of their standard libraries alone. */

import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { test } from 'node:test';
import { goesOn } from '../client/example-program.js';
import { temporaryDirectory } from '../support/temporary.js';

const EXAMPLES = resolve('client/examples');

test('the example in Python goes on over ends of the server and of itself', async (context) => {
  await goesOn(context, 'python3', [join(EXAMPLES, 'feed.py')], 'http');
});

test('the example in Go does, and is written as Go is', async (context) => {
  const program = join(temporaryDirectory(context), 'feed');
  execFileSync('go', ['vet', join(EXAMPLES, 'feed.go')]);
  execFileSync('go', ['build', '-o', program, join(EXAMPLES, 'feed.go')]);
  await goesOn(context, program, [], 'http');
});

test('the example with curl does', async (context) => {
  await goesOn(context, 'sh', [join(EXAMPLES, 'feed.sh')], 'http');
});
