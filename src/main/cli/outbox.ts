/** `teranode-p2p outbox` and `dead-letter`, and `log-level`: what only the running server knows. */

import { Argument, type Command } from 'commander';
import { pause } from '../../shared/async/pause.js';
import { LOG_LEVELS } from '../../shared/settings/values/texts.js';
import type { OutboxTopic } from '../../shared/sinks/types.js';
import { askServer } from '../control/client.js';
import { CommandError, countArgument, durationArgument, runningServer, settingsFor } from './context.js';
import type { Terminal } from './terminal.js';

/** Between two looks at an outbox that is to become empty. */
const LOOK_MS = 500;

const isWaiting = ({ waiting }: OutboxTopic): boolean => waiting > 0;

export function outboxCommands(program: Command, terminal: Terminal): void {
  const socket = (command: Command) => runningServer(settingsFor(command, terminal).settings).controlSocket;

  const outbox = program
    .command('outbox')
    .description('Show what waits for Kafka, by topic.')
    .option('--wait <duration>', 'until nothing waits; exit code 1 when that takes longer', durationArgument)
    .option('--json', 'one JSON object a line', false)
    .addHelpText(
      'after',
      '\nExamples:\n  $ teranode-p2p outbox\n  $ teranode-p2p outbox --wait 10m\n  $ teranode-p2p outbox dead-letter list\n  $ teranode-p2p outbox dead-letter replay\n  $ teranode-p2p outbox accept-loss blocks',
    )
    .action(async ({ json, wait = 0 }: { json: boolean; wait?: number }, command: Command) => {
      const path = socket(command);
      const deadline = performance.now() + wait;
      let topics = await askServer(path, 'outbox', {});
      while (topics.some(isWaiting) && performance.now() < deadline) {
        await pause(LOOK_MS);
        topics = await askServer(path, 'outbox', {});
      }
      showTopics(terminal, topics, json);
      const left = wait > 0 ? topics.filter(isWaiting).map(({ topic }) => topic) : [];
      if (left.length > 0) throw new CommandError(`not empty in time: ${left.join(', ')}`);
    });

  outbox
    .command('accept-loss <topic>')
    .description('Let a topic go on past records that cannot be read back.')
    .addHelpText('after', '\nExample:\n  $ teranode-p2p outbox accept-loss blocks')
    .action(async (topic: string, _: object, command: Command) => {
      await askServer(socket(command), 'acceptLoss', { topic });
      terminal.line(`${topic} goes on`);
    });
  outbox
    .command('forget <cursor>')
    .description(
      'Drop the place of a sink that no setting names any more, and with it what waits for that sink.',
    )
    .addHelpText('after', '\nExample:\n  $ teranode-p2p outbox forget kafka.notifications')
    .action(async (cursor: string, _: object, command: Command) => {
      await askServer(socket(command), 'forget', { cursor });
      terminal.line(`${cursor} is forgotten`);
    });

  for (const parent of [outbox, program]) {
    const letters = parent
      .command('dead-letter', { hidden: parent === program })
      .description('Records that Kafka refused for good.');
    letters
      .command('list')
      .description('List them, the oldest first.')
      .option('-n, --limit <n>', 'so many at the most', countArgument, 100)
      .option('--json', 'one JSON object a line', false)
      .addHelpText('after', '\nExample:\n  $ teranode-p2p outbox dead-letter list --limit 10')
      .action(async ({ limit }: { limit: number }, command: Command) => {
        const { json } = command.optsWithGlobals<{ json: boolean }>();
        const found = await askServer(socket(command), 'deadLetters', { limit });
        if (json) {
          for (const letter of found) terminal.json(letter);
          return;
        }
        if (found.length === 0) {
          terminal.note('no dead letters');
          return;
        }
        terminal.table(
          ['ID', 'TOPIC', 'SINCE', 'HASH', 'REASON'],
          found.map(({ id, topic, at, hash, reason }) => [
            id,
            topic,
            new Date(at).toISOString(),
            hash,
            reason,
          ]),
        );
      });
    letters
      .command('replay')
      .description('Put them all back into the outbox.')
      .addHelpText('after', '\nExample:\n  $ teranode-p2p outbox dead-letter replay')
      .action(async (_: object, command: Command) => {
        const { replayed } = await askServer(socket(command), 'replayDeadLetters', {}, 60_000);
        terminal.line(`${replayed} put back`);
      });
  }

  program
    .command('log-level')
    .description('Change the level of a running server’s log.')
    .addArgument(new Argument('<level>', 'the new level').choices(LOG_LEVELS))
    .addHelpText('after', '\nExample:\n  $ teranode-p2p log-level debug')
    .action(async (level: string, _: object, command: Command) => {
      const now = await askServer(socket(command), 'level', { level });
      terminal.line(`the level is ${now.level}`);
    });
}

function showTopics(terminal: Terminal, topics: readonly OutboxTopic[], json: boolean): void {
  if (json) {
    for (const topic of topics) terminal.json(topic);
    return;
  }
  terminal.table(
    ['TOPIC', 'WAITING', 'OLDEST', 'STATE', 'ERROR'],
    topics.map(({ topic, waiting, oldest, state, error }) => [
      topic,
      String(waiting),
      oldest === 0 ? '–' : new Date(oldest).toISOString(),
      state,
      error,
    ]),
  );
}
