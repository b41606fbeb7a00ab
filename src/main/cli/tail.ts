/** `teranode-p2p tail`: the feed, live and as far back as it is kept. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  FeedError,
  type FeedEvent,
  type FeedFailure,
  type FeedOpening,
  feed,
  type Kind,
  type PlainEvent,
} from '#feed';
import { wall } from '../../shared/clock.js';
import {
  CommandError,
  countArgument,
  durationArgument,
  interrupted,
  noteOtherServer,
  settingsFor,
} from './context.js';
import { socketOptions, type ToldFrame } from './feed.js';
import { feedUrl, noFeed, tokenOf, tokenOption, urlArgument } from './feed-url.js';
import { FramePrinter, kindOption, PING, type Wanted } from './frame-printer.js';
import { printable, type Terminal } from './terminal.js';

interface TailOptions extends Wanted {
  readonly url?: string;
  readonly insecure: boolean;
  /** RFC 3339. */
  readonly since?: string;
  readonly cursor?: string;
  readonly peer: readonly string[];
  readonly meta: boolean;
  readonly token?: string;
}

/** A time, or how long ago: as RFC 3339. */
function sinceArgument(text: string): string {
  if (/^\d{4}-\d\d-\d\dT/i.test(text) && !Number.isNaN(Date.parse(text))) return text;
  try {
    return new Date(wall.date() - durationArgument(text)).toISOString();
  } catch {
    throw new InvalidArgumentError(
      'Expected how long ago, such as 10m, 1h or 7d, or a time such as 2026-11-30T01:00:00Z.',
    );
  }
}

const peersArgument = (text: string, before: readonly string[]): readonly string[] => [
  ...before,
  ...text.split(',').map((peer) => peer.trim()),
];

export function tailCommand(program: Command, terminal: Terminal): void {
  program
    .command('tail')
    .description('Follow the WebSocket feed.')
    .addOption(kindOption())
    .addOption(
      new Option('-p, --peer <id>', 'announced by this peer; repeat or separate by commas (default: by any)')
        .argParser(peersArgument)
        .default([]),
    )
    .addOption(
      new Option(
        '--since <time>',
        'from there on, then live: how long ago (10m, 1h, 7d), or a time of RFC 3339',
      )
        .argParser(sinceArgument)
        .conflicts('cursor'),
    )
    .option('--cursor <cursor>', 'what follows a frame that was shown with --meta, or oldest: then live')
    .option('--meta', 'with the place of each frame: its cursor, when it was received', false)
    .option('--json', 'frames as they come', false)
    .option('--url <url>', 'a feed elsewhere (default: from p2p_httpAddress)', urlArgument)
    .addOption(tokenOption())
    .option('-n, --count <n>', 'end after so many frames', countArgument)
    .option('--insecure', 'accept any certificate', false)
    .addHelpText(
      'after',
      '\nWith --since, --cursor, --peer, --meta or a token nothing is missed when the server goes away and comes back; what cannot be had any more is told.\n' +
        '\nExamples:\n  $ teranode-p2p tail -k block,subtree\n  $ teranode-p2p tail --since 1h -k block --json | jq .header\n' +
        '  $ teranode-p2p tail --json --url ws://localhost:9926/p2p-ws | jq .hash',
    )
    .action(async (options: TailOptions, command: Command) => {
      if (options.peer.length > 0) await refuseStrangers(options.peer, command);
      await tail(options.url ?? configuredFeed(command, terminal), options, terminal);
    });
}

/** Ends with wrong usage where one is no peer ID. */
async function refuseStrangers(peers: readonly string[], command: Command): Promise<void> {
  // Loaded where it is used: the other commands need not wait for it.
  const { parsePeerId } = await import('../../shared/net/peer-id.js');
  const stranger = peers.find((peer) => parsePeerId(peer) === undefined);
  if (stranger !== undefined)
    command.error(`error: ${JSON.stringify(printable(stranger))} is no peer ID (--peer)`);
}

function configuredFeed(command: Command, terminal: Terminal): string {
  const { settings } = settingsFor(command, terminal);
  noteOtherServer(settings, { setting: 'p2p_httpAddress', server: 'http' }, terminal);
  return feedUrl(settings);
}

async function tail(url: string, options: TailOptions, terminal: Terminal): Promise<void> {
  if (options.count === 0) return;
  const ending = new AbortController();
  void interrupted().then(() => ending.abort());
  const printer = new FramePrinter(options, terminal, () => ending.abort());
  const token = tokenOf(options.token);
  const kinds = options.kind.filter((kind) => kind !== PING) as Kind[];
  let wasThere = false;
  const common = {
    url,
    signal: ending.signal,
    ...(await socketOptions(options.insecure)),
    ...(token === undefined ? {} : { token }),
    onOpen: ({ kinds: allowed }: FeedOpening) => {
      if (!wasThere && allowed !== undefined && kinds.length === 0)
        terminal.note(`note: ${printable(allowed.join(', '))} alone: no other kind is allowed`);
      wasThere = true;
    },
    onFailure: (failure: FeedFailure) => {
      wasThere ||= failure.opened;
      // Not being there at first is a mistake; going away later is life.
      if (!wasThere) throw noFeed(url, failure.text, failure);
      if (failure.opened) terminal.note(`${url} went away, trying again`);
    },
  };
  const { since, cursor, peer: peers, meta } = options;
  const show = async (events: AsyncIterable<FeedEvent | PlainEvent>, tellsGaps: boolean) => {
    for await (const event of events) {
      if ('json' in event) printer.print(event as unknown as ToldFrame, event.json ?? '');
      else if (tellsGaps)
        terminal.note(`${event.type.replace('_', ' ')}: ${(event as { text: string }).text}`);
    }
  };
  const asksMore = since !== undefined || cursor !== undefined || peers.length > 0 || meta;
  // Who gives out tokens knows parameters, and says what a token does not allow.
  const positioned = asksMore || (token !== undefined && kinds.length === options.kind.length);
  try {
    if (!positioned) return await show(feed({ ...common, plain: true }), false);
    if (kinds.length < options.kind.length)
      throw new CommandError(`${PING} has no place: leave it out of --kind`);
    const asked = {
      ...(kinds.length > 0 ? { kinds } : {}),
      ...(peers.length > 0 ? { peers } : {}),
    };
    const start = { ...(since === undefined ? {} : { since }), ...(cursor === undefined ? {} : { cursor }) };
    await show(feed({ ...common, ...asked, ...start }), true).catch(async (error: unknown) => {
      if (!(error instanceof FeedError) || error.code !== 'no_position') throw error;
      terminal.note(
        `${url} knows no position: what comes from now on is shown, and what comes while it is away is missed`,
      );
      await show(feed({ ...common, ...asked, plain: true }), true);
    });
  } catch (error) {
    if (!(error instanceof FeedError)) throw error;
    throw noFeed(url, error.message, { ...error.detail, problem: error.code, cause: error.cause });
  }
}
