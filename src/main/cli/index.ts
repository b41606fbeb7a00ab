/** Entry of `teranode-p2p`. */

import './environment.js';

import { steadyLibraries } from '../../shared/clock.js';
import { runProgram } from './program.js';
import { Terminal } from './terminal.js';

steadyLibraries();

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read us has gone, as `head` does.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

process.exitCode = await runProgram(process.argv.slice(2), new Terminal());
