/** `teranode-p2p ban`, `unban` and `bans`. */

import { type Command, InvalidArgumentError } from 'commander';
import { wall } from '../../shared/clock.js';
import { errorMessage } from '../../shared/errors.js';
import type { PeerServiceClient } from '../../shared/grpc/peer-service-client.js';
import type { Settings } from '../../shared/settings/table.js';
import { formatGoDuration } from '../../shared/settings/values/duration.js';
import { CommandError, durationArgument, settingsFor, withPeerService } from './context.js';
import { printable, type Terminal } from './terminal.js';

/** Unix ms: servers refuse later ends, which are mostly milliseconds taken for seconds. */
const LATEST = Date.UTC(3000, 0);
const SUBJECT = 'an address, a subnet or a peer ID';

function futureTime(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new InvalidArgumentError('Expected a time such as 2030-01-02T15:04:05Z.');
  if (time <= wall.date()) throw new InvalidArgumentError('That time is past.');
  if (time >= LATEST) throw new InvalidArgumentError('Expected a time before the year 3000.');
  return time;
}

/** Ends with wrong usage when `who` is nothing that can be banned. */
async function checkSubject(who: string, command: Command): Promise<void> {
  // Loaded when wanted: it brings libp2p's peer IDs with it.
  const { parseBanSubject } = await import('../bans/subject.js');
  try {
    parseBanSubject(who);
  } catch (error) {
    command.error(`error: ${errorMessage(error)}`);
  }
}

export function banCommands(program: Command, terminal: Terminal): void {
  const withAdmin = (
    command: Command,
    work: (client: PeerServiceClient, settings: Settings) => Promise<void>,
  ) => {
    const { settings } = settingsFor(command, terminal);
    return withPeerService(settings, terminal, (client) => work(client, settings), { admin: true });
  };

  program
    .command('ban')
    .description('Keep somebody out and close their connections.')
    .argument('<who>', SUBJECT)
    .option('--for <duration>', 'how long: 30m, 24h, 7d (default: p2p_ban_duration)', durationArgument)
    .option('--until <time>', 'until when, RFC 3339', futureTime)
    .option('--reason <text>', 'why, to be shown by bans')
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p ban 203.0.113.7 --for 24h\n  $ teranode-p2p ban 2001:db8::/32 --until 2030-01-01T00:00:00Z',
    )
    .action(
      async (who: string, options: { for?: number; until?: number; reason?: string }, command: Command) => {
        if (options.for !== undefined && options.until !== undefined) {
          command.error('error: --for and --until exclude each other');
        }
        await checkSubject(who, command);
        await withAdmin(command, async (client, { p2p_ban_duration }) => {
          const byDefault = options.until === undefined && options.for === undefined;
          // Said to the server: its settings may be others than those that are known here.
          const until = Math.min(
            options.until ?? wall.date() + (options.for ?? p2p_ban_duration),
            LATEST - 1000,
          );
          if (!(await client.banPeer(who, BigInt(Math.ceil(until / 1000)), undefined, options.reason))) {
            throw new CommandError(`${printable(who)} was not banned`);
          }
          const duration = byDefault ? `for ${formatGoDuration(p2p_ban_duration)}, ` : '';
          terminal.line(`${printable(who)} is banned ${duration}until ${new Date(until).toISOString()}`);
        });
      },
    );

  program
    .command('unban')
    .description('Let somebody in again.')
    .argument('[who]', SUBJECT)
    .option('--all', 'everybody', false)
    .addHelpText('after', '\nExamples:\n  $ teranode-p2p unban 203.0.113.7\n  $ teranode-p2p unban --all')
    .action(async (who: string | undefined, { all }: { all: boolean }, command: Command) => {
      if ((who === undefined) !== all) command.error(`error: name ${SUBJECT}, or say --all`);
      if (who !== undefined) await checkSubject(who, command);
      await withAdmin(command, async (client) => {
        if (who === undefined) {
          await client.clearBanned();
          terminal.line('nobody is banned any more');
          return;
        }
        const banned = await client.isBanned(who);
        const { message } = await client.unban(who);
        const besides = message === '' ? '' : `; ${printable(message)}`;
        terminal.line(`${printable(who)} ${banned ? 'is not banned any more' : 'was not banned'}${besides}`);
      });
    });

  program
    .command('bans')
    .description('List who is kept out, until when, by whom and why.')
    .option('--json', 'a JSON array', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p bans\n  $ teranode-p2p bans --json | jq -r \'.[] | select(.by == "score").subject\'',
    )
    .action(async ({ json }: { json: boolean }, command: Command) => {
      await withPeerService(settingsFor(command, terminal).settings, terminal, async (client) => {
        const bans = await client.listBans();
        if (json) terminal.json(bans.map((ban) => ({ ...ban, until: ban.until?.toISOString() })));
        else if (bans.length === 0) terminal.note('nobody is banned');
        else
          terminal.table(
            ['BANNED', 'UNTIL', 'BY', 'WITH', 'REASON'],
            bans.map(({ subject, until, by = '–', peer = '–', reason = '–' }) => [
              subject,
              until === undefined ? '–' : until.toISOString().replace('.000Z', 'Z'),
              by,
              peer,
              reason,
            ]),
          );
      });
    });
}
