/** `teranode-p2p service`: what `/app/teranode.run` of the image is. */

import { type Command, Option } from 'commander';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import type { Settings } from '../../shared/settings/table.js';
import { loadFor } from './context.js';
import { FlagError, SERVICE_USAGE, type ServiceWish, serviceWish } from './service-flags.js';
import { startServer } from './start.js';
import type { Terminal } from './terminal.js';

export function serviceCommand(program: Command, terminal: Terminal): void {
  const service = program
    .command('service [flags...]')
    .description('Start as Teranode’s own program is told to: service -p2p=1.')
    .usage('-p2p=1')
    // Its flags are Go’s: -help=1 is one of them.
    .helpOption(false)
    .allowUnknownOption()
    .addOption(
      new Option('--take-over <uid:gid>', 'make ready, as root, what that user will need').hideHelp(),
    );
  service.action(async (_: readonly string[], { takeOver }: { takeOver?: string }) => {
    const { wish, passedOver } = wishOf(service);
    if (takeOver !== undefined) {
      if (wish === 'start') await prepareFor(service, takeOver);
    } else if (wish === 'help') terminal.raw(SERVICE_USAGE);
    else if (wish === 'version') terminal.raw(program.version() ?? '');
    else {
      // Once: the start as root has made ready already, and said nothing.
      for (const arg of passedOver) terminal.note(`${arg} means nothing to the P2P service: passed over`);
      await startServer(service);
    }
  });
}

function wishOf(service: Command): ServiceWish {
  try {
    return serviceWish(service.args);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    return service.error(`error: ${errorMessage(error)}`, { exitCode: 2 });
  }
}

async function prepareFor(service: Command, text: string): Promise<void> {
  const { ownerOf, takeOver } = await import('../data-directory/take-over.js');
  let settings: Settings;
  try {
    ({ settings } = loadFor(service, () => []));
  } catch (error) {
    // Said by the start that follows.
    if (error instanceof ConfigurationError) return;
    throw error;
  }
  takeOver(settings, ownerOf(text));
}
