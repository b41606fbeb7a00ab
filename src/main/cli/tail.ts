/** `teranode-p2p tail`: the feed, live. */

import { setTimeout as delay } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { Settings } from '../../shared/settings/table.js';
import { countArgument, interrupted, noteOtherServer, settingsFor } from './context.js';
import { followFeed } from './feed.js';
import { field, frameLine, parseFrame } from './frame-line.js';
import { printable, type Terminal } from './terminal.js';

interface TailOptions {
  readonly kind: readonly string[];
  readonly json: boolean;
  readonly url?: string;
  readonly count?: number;
  readonly insecure: boolean;
}

const RECONNECT_MS = 1000;

const KINDS: readonly string[] = ['block', 'subtree', 'mining_on', 'rejected_tx', 'node_status', 'PING'];
const KINDS_LISTED = `${KINDS.slice(0, -1).join(', ')} or ${KINDS.at(-1)}`;

function kindsArgument(text: string, before: readonly string[]): readonly string[] {
  const kinds = text.split(',').map((kind) => kind.trim());
  const stranger = kinds.find((kind) => !KINDS.includes(kind));
  if (stranger !== undefined) {
    throw new InvalidArgumentError(`No kind ${JSON.stringify(printable(stranger))}: ${KINDS_LISTED}.`);
  }
  return [...before, ...kinds];
}

/** Where the settings say that the feed is. */
export function feedUrl({ p2p_httpAddress, securityLevelHTTP }: Settings): string {
  return `${securityLevelHTTP === 1 ? 'wss' : 'ws'}://${p2p_httpAddress}/p2p-ws`;
}

export function tailCommand(program: Command, terminal: Terminal): void {
  program
    .command('tail')
    .description('Follow the WebSocket feed.')
    .option(
      '-k, --kind <kind>',
      `${KINDS_LISTED}; repeat or separate by commas (default: all but PING)`,
      kindsArgument,
      [] as readonly string[],
    )
    .option('--json', 'frames as they come', false)
    .option('--url <url>', 'a feed elsewhere (default: from p2p_httpAddress)')
    .option('-n, --count <n>', 'end after so many frames', countArgument)
    .option('--insecure', 'accept any certificate', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p tail -k block,subtree\n  $ teranode-p2p tail --json --url ws://localhost:9926/p2p-ws | jq .hash',
    )
    .action(async (options: TailOptions, command: Command) => {
      await tail(options.url ?? configuredFeed(command, terminal), options, terminal);
    });
}

function configuredFeed(command: Command, terminal: Terminal): string {
  const { settings } = settingsFor(command, terminal);
  noteOtherServer(settings, { setting: 'p2p_httpAddress', server: 'http' }, terminal);
  return feedUrl(settings);
}

async function tail(url: string, options: TailOptions, terminal: Terminal): Promise<void> {
  const ending = new AbortController();
  void interrupted().then(() => ending.abort());
  let left = options.count ?? Number.POSITIVE_INFINITY;
  const onFrame = (text: string) => {
    const frame = parseFrame(text);
    if (frame === undefined || left <= 0) return;
    const kind = field(frame, 'type');
    if (options.kind.length > 0 ? !options.kind.includes(kind) : kind === 'PING') return;
    // Not parsed and written anew: that would round 64-bit numbers.
    terminal.line(options.json ? text.replace(/[\r\n]+/g, ' ') : frameLine(frame, terminal));
    if (--left <= 0) ending.abort();
  };
  const follow = () => followFeed({ url, insecure: options.insecure, signal: ending.signal, onFrame });
  if (left <= 0) return;
  // Not being there at first is a mistake; going away later is life.
  await follow();
  while (!ending.signal.aborted) {
    terminal.note(`${url} went away, trying again`);
    await delay(RECONNECT_MS, undefined, { signal: ending.signal }).catch(() => {});
    await follow().catch(() => {});
  }
}
