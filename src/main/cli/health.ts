/** `teranode-p2p health`: exit code 0 when the server is well. */

import type { Command } from 'commander';
import { deadlineSignal } from '../../shared/async/deadline.js';
import { errorMessage } from '../../shared/errors.js';
import { hostAndPort } from '../../shared/net/listen-address.js';
import { CommandError, noteOtherServer, settingsFor } from './context.js';
import type { Terminal } from './terminal.js';

interface Body {
  readonly status: string;
  readonly dependencies: readonly {
    readonly resource: string;
    readonly status: string;
    readonly error: string;
    readonly message: string;
  }[];
}

const TIMEOUT_MS = 5000;

export function healthCommand(program: Command, terminal: Terminal): void {
  program
    .command('health')
    .description('Ask a running server how it is; exit code 1 when it is not well.')
    .option('--liveness', 'whether it lives, not whether it can work', false)
    .option('--json', 'the answer as it comes', false)
    .addHelpText('after', '\nExamples:\n  $ teranode-p2p health\n  $ teranode-p2p health --liveness --json')
    .action(async ({ liveness, json }: { liveness: boolean; json: boolean }, command: Command) => {
      const { settings } = settingsFor(command, terminal);
      const { health_check_httpListenAddress: address } = settings;
      if (address === undefined) {
        throw new CommandError('health_check_httpListenAddress is empty: the server does not tell');
      }
      noteOtherServer(settings, { setting: 'health_check_httpListenAddress', server: 'health' }, terminal);
      const authority = hostAndPort({ host: address.host ?? '127.0.0.1', port: address.port });
      const { body, text } = await ask(`http://${authority}/health/${liveness ? 'liveness' : 'readiness'}`);
      if (json) terminal.raw(text);
      else show(body, terminal);
      if (body.status !== '200') process.exitCode = 1;
    });
}

async function ask(url: string): Promise<{ body: Body; text: string }> {
  let text: string;
  try {
    text = await (await fetch(url, { signal: deadlineSignal(TIMEOUT_MS) })).text();
  } catch (error) {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new CommandError(`${url} does not answer: ${errorMessage(cause)}`);
  }
  try {
    const body = JSON.parse(text) as Body;
    if (typeof body.status === 'string' && Array.isArray(body.dependencies)) return { body, text };
  } catch {
    // Said below.
  }
  throw new CommandError(`${url} is no health endpoint of this server`);
}

function show({ dependencies }: Body, terminal: Terminal): void {
  terminal.table(
    ['', 'RESOURCE', 'MESSAGE', 'ERROR'],
    dependencies.map(({ resource, status, error, message }) => [
      status === '200' ? '✓' : '✗',
      resource,
      message,
      error === '<nil>' ? '' : error,
    ]),
  );
}
