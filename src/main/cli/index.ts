/** Entry of `teranode-p2p`. */

import './environment.js';

import { steadyLibraries } from '../../shared/clock.js';

steadyLibraries();

for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // Whoever read us has gone, as `head` does.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}

// Not beside the others above: where all is in a few files, what they import is run before them.
const { runProgram } = await import('./program.js');
const { Terminal } = await import('./terminal.js');
process.exitCode = await runProgram(process.argv.slice(2), new Terminal());
