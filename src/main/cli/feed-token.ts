/** `teranode-p2p feed-token`. */

import { appendFileSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { errorMessage } from '../../shared/errors.js';
import { hashOfToken, newToken, parseTokens, tokenLine } from '../../shared/firehose/tokens.js';
import { CommandError } from './context.js';
import type { Terminal } from './terminal.js';

interface FeedTokenOptions {
  readonly add?: string;
  readonly connections?: string;
  readonly kinds?: string;
  readonly replay: boolean;
  readonly json: boolean;
}

export function feedTokenCommand(program: Command, terminal: Terminal): void {
  program
    .command('feed-token <name>')
    .description('Make a token for a consumer of the feed, and its line for p2p_feed_tokens_file.')
    .option('--add <file>', 'append the line to this file, which a running server reads again by itself')
    .option('--connections <number>', 'connections at once at the most')
    .option('--kinds <list>', 'these kinds alone, separated by commas')
    .option('--no-replay', 'nothing that was before the consumer came')
    .option('--json', 'a JSON object', false)
    .addHelpText(
      'after',
      '\nThe token is shown once and kept nowhere: the line has its hash. The page asks for it, tail takes it from P2P_FEED_TOKEN.\n\nExamples:\n  $ teranode-p2p feed-token explorer --add tokens\n  $ teranode-p2p feed-token dashboard --connections 5 --kinds block,subtree --no-replay',
    )
    .action((name: string, options: FeedTokenOptions) => {
      const token = newToken();
      const line = lineOf(name, hashOfToken(token), options);
      if (options.add !== undefined) append(options.add, line);
      const shown = { token, ...(options.add === undefined ? { line } : { file: options.add }) };
      if (options.json) terminal.json(shown);
      else for (const [label, value] of Object.entries(shown)) terminal.line(`${label} = ${value}`);
    });
}

/** The line, as the server will read it. Throws CommandError on a limit that it would refuse. */
function lineOf(name: string, hash: string, { connections, kinds, replay }: FeedTokenOptions): string {
  const limits = [
    connections === undefined ? '' : `connections=${connections}`,
    kinds === undefined ? '' : `kinds=${kinds}`,
    replay ? '' : 'replay=no',
  ];
  const [token] = parsed(`${name}:${hash}:${limits.join(' ')}`, '');
  if (token === undefined) throw new CommandError(`${name} is no name of a token`);
  return tokenLine(token);
}

function append(path: string, line: string): void {
  let before = '';
  try {
    before = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      throw new CommandError(`${path}: ${errorMessage(error)}`);
  }
  const added = `${before === '' || before.endsWith('\n') ? '' : '\n'}${line}\n`;
  parsed(before + added, `${path}: `);
  try {
    appendFileSync(path, added, { mode: 0o600 });
  } catch (error) {
    throw new CommandError(`${path}: ${errorMessage(error)}`);
  }
}

function parsed(text: string, where: string) {
  try {
    return parseTokens(text);
  } catch (error) {
    throw new CommandError(where + errorMessage(error));
  }
}
