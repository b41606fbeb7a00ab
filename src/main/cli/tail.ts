/** `teranode-p2p tail`: the feed, live. */

import { type Command, InvalidArgumentError, Option } from 'commander';
import { pause } from '../../shared/async/pause.js';
import { errorMessage } from '../../shared/errors.js';
import { FRAME_KINDS } from '../../shared/messages/index.js';
import { hostAndPort } from '../../shared/net/listen-address.js';
import type { Settings } from '../../shared/settings/table.js';
import { CommandError, countArgument, interrupted, noteOtherServer, settingsFor } from './context.js';
import { followFeed } from './feed.js';
import { type FeedFrame, field, frameLine, parseFrame } from './frame-line.js';
import { printable, type Terminal } from './terminal.js';

interface TailOptions {
  readonly kind: readonly string[];
  readonly json: boolean;
  readonly url?: string;
  readonly count?: number;
  readonly insecure: boolean;
}

const RECONNECT_MS = 1000;

/** What `--kind` takes. */
export const FEED_KINDS: readonly string[] = [...FRAME_KINDS.map(({ name }) => name), 'PING'];
const KINDS_LISTED = `${FEED_KINDS.slice(0, -1).join(', ')} or ${FEED_KINDS.at(-1)}`;

/** Kinds of frames, separated by commas. */
function kindsArgument(text: string, before: readonly string[]): readonly string[] {
  const kinds = text.split(',').map((kind) => kind.trim());
  const stranger = kinds.find((kind) => !FEED_KINDS.includes(kind));
  if (stranger !== undefined) {
    throw new InvalidArgumentError(`No kind ${JSON.stringify(printable(stranger))}: ${KINDS_LISTED}.`);
  }
  return [...before, ...kinds];
}

const FEED_PATH = '/p2p-ws';
const EXAMPLE = `ws://localhost:9906${FEED_PATH}`;

/** The URL of a feed. What else was typed is refused with what to type. */
function urlArgument(text: string): string {
  const typed = /^[a-z][\w+.-]*:\/\//i.test(text) ? text : `ws://${text}`;
  const url = URL.canParse(typed) ? new URL(typed) : undefined;
  const scheme = SCHEMES[url?.protocol ?? ''];
  if (url === undefined || scheme === undefined) {
    throw new InvalidArgumentError(`Type a URL such as --url ${EXAMPLE}`);
  }
  if (typed === text && url.protocol === `${scheme}:` && url.hash === '') return text;
  throw new InvalidArgumentError(`Type --url ${feedAt(url, scheme)}`);
}

/** By the protocol that was typed. */
const SCHEMES: Readonly<Record<string, 'ws' | 'wss'>> = {
  'ws:': 'ws',
  'http:': 'ws',
  'wss:': 'wss',
  'https:': 'wss',
};

function feedAt({ host, pathname, search }: URL, scheme: 'ws' | 'wss'): string {
  return printable(`${scheme}://${host}${pathname === '/' ? FEED_PATH : pathname}${search}`);
}

/** What to type instead where that is known; else empty. */
function adviceFor(feed: string, error: unknown): string {
  const { cause } = error as Error;
  const { code = '', message = '' } = (cause ?? {}) as NodeJS.ErrnoException;
  const url = new URL(feed);
  if (UNTRUSTED.test(code)) {
    return 'Its certificate is not trusted here: name its authority with NODE_EXTRA_CA_CERTS=<file>, or accept any with --insecure.';
  }
  if (/^Unexpected server response/.test(message)) {
    return url.pathname === FEED_PATH
      ? ''
      : `Its feed may be elsewhere: --url ${feedAt(new URL('/', url), schemeOf(url))}`;
  }
  if (code === 'EPROTO' && url.protocol === 'wss:') return `It speaks no TLS: --url ${feedAt(url, 'ws')}`;
  if ((code === 'ECONNRESET' || code === 'HPE_INVALID_CONSTANT') && url.protocol === 'ws:') {
    return `It may speak TLS alone: --url ${feedAt(url, 'wss')}`;
  }
  return '';
}

const schemeOf = ({ protocol }: URL): 'ws' | 'wss' => (protocol === 'wss:' ? 'wss' : 'ws');
/** What Node says of certificates that it does not take. */
const UNTRUSTED = /CERT|UNABLE_TO|INVALID_CA/;

/** Where the settings say that the feed is. Throws CommandError where they do not. */
function feedUrl({ p2p_httpAddress, securityLevelHTTP }: Settings): string {
  if (p2p_httpAddress === undefined) throw new CommandError('p2p_httpAddress is empty: no feed is named');
  return `${securityLevelHTTP === 1 ? 'wss' : 'ws'}://${hostAndPort(p2p_httpAddress)}${FEED_PATH}`;
}

/** Which frames are shown; none given: all but PING. */
export function kindOption(): Option {
  return new Option(
    '-k, --kind <kind>',
    `${KINDS_LISTED}; repeat or separate by commas (default: all but PING)`,
  )
    .argParser(kindsArgument)
    .default([]);
}

export function tailCommand(program: Command, terminal: Terminal): void {
  program
    .command('tail')
    .description('Follow the WebSocket feed.')
    .addOption(kindOption())
    .option('--json', 'frames as they come', false)
    .option('--url <url>', 'a feed elsewhere (default: from p2p_httpAddress)', urlArgument)
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

/** Prints the frames that are wanted, and calls `done` after the last of them. */
export class FramePrinter {
  #left: number;

  constructor(
    private readonly wanted: Pick<TailOptions, 'kind' | 'json' | 'count'>,
    private readonly terminal: Terminal,
    private readonly done: () => void,
  ) {
    this.#left = wanted.count ?? Number.POSITIVE_INFINITY;
  }

  /** `text`, parsed to `frame`. */
  print(frame: FeedFrame, text: string): void {
    if (this.#left <= 0) return;
    const kind = field(frame, 'type');
    if (this.wanted.kind.length > 0 ? !this.wanted.kind.includes(kind) : kind === 'PING') return;
    // Not parsed and written anew: that would round 64-bit numbers.
    if (this.wanted.json) this.terminal.raw(text.replace(/[\r\n]+/g, ' '));
    else this.terminal.line(frameLine(frame, this.terminal));
    if (--this.#left <= 0) this.done();
  }
}

async function tail(url: string, options: TailOptions, terminal: Terminal): Promise<void> {
  if (options.count === 0) return;
  const ending = new AbortController();
  void interrupted().then(() => ending.abort());
  const printer = new FramePrinter(options, terminal, () => ending.abort());
  const onFrame = (text: string) => {
    const frame = parseFrame(text);
    if (frame !== undefined) printer.print(frame, text);
  };
  const follow = () => followFeed({ url, insecure: options.insecure, signal: ending.signal, onFrame });
  // Not being there at first is a mistake; going away later is life.
  await follow().catch((error: unknown) => {
    const advice = adviceFor(url, error);
    throw new CommandError(advice === '' ? errorMessage(error) : `${errorMessage(error)}\n${advice}`);
  });
  while (!ending.signal.aborted) {
    terminal.note(`${url} went away, trying again`);
    await pause(RECONNECT_MS, { signal: ending.signal });
    await follow().catch(() => {});
  }
}
