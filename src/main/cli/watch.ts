/** `teranode-p2p watch`: a live network in one command, by a server of one's own that only listens. */

import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { raceSignal } from 'race-signal';
import { deadlineSignal } from '../../shared/async/deadline.js';
import { pause } from '../../shared/async/pause.js';
import { monotonic } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import { readRunFile } from '../../shared/process/run-file.js';
import { defaultOf } from '../../shared/settings/defaults.js';
import { STANDALONE, setArguments } from '../../shared/settings/standalone.js';
import { SETTINGS } from '../../shared/settings/table.js';
import type { NodeStatusReport } from '../../shared/status.js';
import { Attempts } from './attempts.js';
import { CommandError, countArgument, loadFor } from './context.js';
import { ownFeed, type ToldFrame } from './feed.js';
import { tokenOf, tokenOption } from './feed-url.js';
import { type FeedFrame, field, parseFrame } from './frame-line.js';
import { FramePrinter, kindOption } from './frame-printer.js';
import { onStopSignals } from './stop-signals.js';
import { printable, short, type Terminal } from './terminal.js';

interface WatchOptions {
  readonly network: (typeof NETWORKS)[number];
  readonly data: string;
  readonly kind: readonly string[];
  readonly json: boolean;
  readonly count?: number;
  readonly token?: string;
}

const NETWORKS = ['mainnet', 'testnet', 'teratestnet', 'stn', 'tstn'] as const;
const WARN = 40;
const STOP_MS = 8000;
const LOOK_MS = 1000;
/** Alone for this long, it is said what was tried; and again whenever that has changed, no sooner than as long after. */
const ALONE_MS = 15_000;

export function watchCommand(program: Command, terminal: Terminal): void {
  program
    .command('watch')
    .description(
      'Watch a live network: a server that only listens, with nothing beside it, and what it hears.',
    )
    .addOption(new Option('--network <name>', 'whose').choices(NETWORKS).default('mainnet'))
    .option('--data <directory>', 'where the server keeps its key and its stores', 'data/watch')
    .addOption(kindOption())
    .option('--json', 'frames as they come', false)
    .option('-n, --count <n>', 'end after so many frames', countArgument)
    .addOption(tokenOption())
    .addHelpText(
      'after',
      '\nIts own feed wants a token only with --set p2p_feed_tokens_file=….\n\nExamples:\n  $ teranode-p2p watch\n  $ teranode-p2p watch --network teratestnet -k block\n  $ teranode-p2p watch --json | jq .hash',
    )
    .action(async (options: WatchOptions, command: Command) => {
      await watch(options, command, terminal);
    });
}

/** For `--set`: a server that tells the network nothing but that it is there, and nobody else on this machine anything but through its page. */
export function watchSettings({ network, data }: Pick<WatchOptions, 'network' | 'data'>): string[] {
  const shipped = defaultOf(SETTINGS.p2p_bootstrap_peers, { generation: 'current', network });
  return setArguments({
    ...STANDALONE,
    network,
    clientName: '',
    listen_mode: 'listen_only',
    DATADIR: join(data, network),
    shutdown_timeout: '5s',
    logLevel: 'info',
    p2p_bootstrap_peers: [shipped].flat().join('|'),
    p2p_static_peers: '',
    p2p_port: 0,
    blockvalidation_grpcAddress: '',
    p2p_notification_servers: 1,
    p2p_httpListenAddress: '127.0.0.1:0',
    p2p_grpcListenAddress: '',
    health_check_httpListenAddress: '',
    profilerAddr: '',
  });
}

async function watch(options: WatchOptions, command: Command, terminal: Terminal): Promise<void> {
  const token = tokenOf(options.token);
  const { NodeProcess } = await import('../devnet/node-process.js');
  const { set: own = [] } = command.optsWithGlobals<{ set?: string[] }>();
  const sets = [...watchSettings(options), ...own];
  // What is wrong with them is said here, and not by a server that ends.
  const { settings } = loadFor(command, undefined, sets);
  const attempts = new Attempts([...settings.p2p_bootstrap_peers, ...settings.p2p_static_peers]);

  const ending = new AbortController();
  let failure: string | undefined;
  const end = (why?: string) => {
    failure ??= why;
    ending.abort();
  };
  const letGo = onStopSignals(() => end());
  const server = new NodeProcess({
    name: 'the server',
    settings: sets,
    onLine: (line) => tellLog(parseFrame(line), attempts, terminal),
    onError: () => {},
    onDeath: (why) => end(why),
  });
  const kill = () => server.kill();
  process.once('exit', kill);
  terminal.note(`Starting a server that listens to ${options.network} and announces nothing of its own …`);
  try {
    await raceSignal(server.ready, ending.signal);
    const run = readRunFile(settings.DATADIR);
    if (run !== undefined) {
      const at = `127.0.0.1:${run.ports.http}`;
      terminal.note(`It is ${run.peerId}, its page is http://${at}/. Ctrl-C ends it.`);
      const printer = new FramePrinter(options, terminal, () => end());
      await Promise.all([
        follow(
          ownFeed(`ws://${at}/p2p-ws`, { signal: ending.signal, ...(token && { token }) }),
          run.peerId,
          printer,
        ),
        tellPeers(`http://${at}/api/status`, attempts, terminal, ending.signal),
      ]);
    }
  } catch (error) {
    if (!ending.signal.aborted) end(errorMessage(error));
  }
  await server.stop(monotonic() + STOP_MS);
  process.off('exit', kill);
  letGo();
  if (failure !== undefined) throw new CommandError(failure);
}

/** Warnings of the server; those of whom it calls are told together. */
function tellLog(entry: FeedFrame | undefined, attempts: Attempts, terminal: Terminal): void {
  if (entry === undefined || attempts.hear(entry)) return;
  const level = typeof entry.level === 'number' ? entry.level : 0;
  if (level < WARN) return;
  const detail = entry.err as { message?: unknown } | undefined;
  const why = field(entry, 'error') || printable(String(detail?.message ?? ''));
  terminal.note(`warning: ${field(entry, 'msg')}${why === '' ? '' : `: ${why}`}`);
}

/** What the network says; the server's own word of itself is none. */
async function follow(frames: AsyncIterable<ToldFrame>, ownId: string, printer: FramePrinter): Promise<void> {
  for await (const frame of frames) {
    if (field(frame, 'peer_id') !== ownId) printer.print(frame, frame.json);
  }
}

/** Says when the first peer is there and the last is gone, and while none is, what was tried. */
async function tellPeers(
  url: string,
  attempts: Attempts,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  let connected = false;
  let alone = monotonic();
  let told = '';
  while (!signal.aborted) {
    const peers = await peersAt(url);
    const now = monotonic();
    if (peers !== undefined && peers.length > 0 !== connected) {
      connected = peers.length > 0;
      const [{ id, name } = { id: '', name: '' }] = peers;
      const others = peers.length > 1 ? ` and ${peers.length - 1} more` : '';
      terminal.note(
        connected
          ? `Connected to ${printable(name) || short(id)}${others}. What is announced comes here.`
          : 'No peer is connected any more.',
      );
      alone = now;
      told = '';
    }
    const tried = attempts.lines();
    if (!connected && now - alone > ALONE_MS && tried.join() !== told) {
      terminal.note(aloneText(tried, told === ''));
      told = tried.join();
      alone = now;
    }
    await pause(LOOK_MS, { signal });
  }
}

function aloneText(tried: readonly string[], first: boolean): string {
  return [
    'No peer is connected yet. Tried:',
    ...(tried.length === 0 ? ['  nobody: no peer is named'] : tried.map((line) => `  ${line}`)),
    ...(first
      ? [
          'It goes on trying every few seconds. It needs a DNS server that answers for TXT records, and a way out over TCP; another peer to call is named with',
          '  --set p2p_bootstrap_peers=/ip4/203.0.113.7/tcp/9905/p2p/12D3Koo…',
        ]
      : []),
  ].join('\n');
}

/** Undefined where the server does not answer. */
async function peersAt(url: string): Promise<NodeStatusReport['peers'] | undefined> {
  try {
    const answer = await fetch(url, { signal: deadlineSignal(5000) });
    return answer.ok ? ((await answer.json()) as NodeStatusReport).peers : undefined;
  } catch {
    return undefined;
  }
}
