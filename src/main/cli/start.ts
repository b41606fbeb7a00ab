/** `teranode-p2p start`: one server in this process. */

import type { Command } from 'commander';
import { ConfigurationError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { LoadedSettings, SettingsCheck } from '../../shared/settings/load.js';
import type { DataDirectory } from '../data-directory/data-directory.js';
import type { HoldingServer } from '../hand-over/lives.js';
import type { Tenure } from '../hand-over/tenure.js';
import { loadFor } from './context.js';
import { onStopSignals } from './stop-signals.js';

/** What a stop may take beyond `shutdown_timeout` before the process ends all the same. */
const GRACE_MS = 3000;
/** For its log lines, under the name of the server's own part. */
const OWN = { component: 'server' };

export function startCommand(program: Command): void {
  program
    .command('start')
    .description('Run one server until SIGTERM, SIGINT or SIGHUP.')
    .addHelpText(
      'after',
      `
Examples:
  $ teranode-p2p start --set network=testnet --set clientName=alice
  $ SETTINGS_CONTEXT=docker.m teranode-p2p start`,
    )
    .action((_options: object, command: Command) => startServer(command));
}

/** Makes what is run, not yet initialised; on `directory`, where it is open already. Throws ConfigurationError. */
type Compose = (
  loaded: LoadedSettings,
  parts: { readonly logger: Logger; readonly tenure: Tenure; readonly directory?: DataDirectory },
) => HoldingServer;

/** What is run. Loaded when it is wanted: other commands need not wait for it, nor who has wrong settings for all of it. */
export interface Program {
  /** What is wrong with settings before anything is built on them. */
  readonly check: () => Promise<SettingsCheck>;
  readonly compose: () => Promise<Compose>;
}

export const SERVER: Program = {
  check: async () => (await import('../preflight/settings.js')).settingsProblems,
  compose: async () => {
    const { composeServer } = await import('../server/compose.js');
    return ({ settings, origin }, parts) => composeServer(settings, { origin, ...parts });
  },
};

/** Runs a server with the command's settings until it is told to stop; then the process ends. */
export async function startServer(command: Command, program = SERVER): Promise<void> {
  await import('../../shared/process/polyfill.js');
  const check = await program.check();
  // Whatever becomes of them, the server goes on.
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', () => {});
  }
  const { createLogger } = await import('../../shared/logging/logger.js');
  let loaded: LoadedSettings;
  try {
    loaded = loadFor(command, check);
  } catch (error) {
    tellFailure(createLogger({ level: 'info' }), error);
    throw error;
  }
  await runProgram(program, loaded);
}

/** In the log as well, which may be all that anybody keeps. */
function tellFailure(logger: Logger, error: unknown): void {
  if (error instanceof ConfigurationError)
    logger.fatal({ ...OWN, problems: error.problems }, 'did not start');
  else logger.fatal({ ...OWN, err: error }, 'did not start');
}

async function runProgram(program: Program, loaded: LoadedSettings): Promise<void> {
  const { settings, warnings } = loaded;
  const { createLogger } = await import('../../shared/logging/logger.js');
  const logger = createLogger({ level: settings.logLevel, node: settings.clientName });
  for (const warning of warnings) logger.warn(OWN, warning);

  let stopping: Promise<void> | undefined;
  let wished: () => void = () => {};
  const wish = new Promise<void>((resolve) => {
    wished = resolve;
  });
  const stop = (why: string) => {
    if (stopping !== undefined) return;
    logger.info({ ...OWN, why }, 'stopping');
    setTimeout(() => {
      logger.error(OWN, 'did not stop in time');
      process.exit(1);
    }, settings.shutdown_timeout + GRACE_MS).unref();
    stopping = lives.stop();
    wished();
  };
  const { packageVersion } = await import('../life/version.js');
  const { Lives } = await import('../hand-over/lives.js');
  const { Tenure } = await import('../hand-over/tenure.js');
  const tenure = new Tenure({ waitMs: settings.p2p_datadir_wait, version: packageVersion() });
  const composed = await program.compose();
  const compose = (directory: DataDirectory | undefined) =>
    composed(loaded, { logger, tenure, ...(directory === undefined ? {} : { directory }) });
  let lives: InstanceType<typeof Lives<HoldingServer>>;
  try {
    const ready = () => {
      process.send?.('ready', undefined, undefined, () => {});
    };
    lives = new Lives({ logger: logger.child(OWN), tenure, compose }, { path: settings.DATADIR, ready });
  } catch (error) {
    tellFailure(logger, error);
    throw error;
  }
  onStopSignals(stop);
  const letGo = onParentWish(stop);
  try {
    // A stop does not wait for what the start still waits for, such as a broker.
    await Promise.race([lives.run(), wish]);
  } catch (error) {
    // What a stop in the middle of the start interrupts is no failure.
    if (stopping === undefined) {
      tellFailure(logger, error);
      // What could not be ended ends now, and only then the lock is free.
      if (lives.server.handingOver) process.exit(1);
      setTimeout(() => {
        logger.error({ ...OWN, err: error }, 'did not start, nor stop in time');
        process.exit(1);
      }, settings.shutdown_timeout + GRACE_MS).unref();
      await lives.stop().catch((err: unknown) => logger.error({ ...OWN, err }, 'did not stop cleanly'));
      // While somebody listens to the parent, the process lives.
      letGo();
      throw error;
    }
  }
  await stopping;
  process.exit(0);
}

/** A parent that is gone, or wishes it over IPC, stops the server as a signal does. Returns how to let go of the parent. */
function onParentWish(stop: (why: string) => void): () => void {
  if (process.send === undefined) return () => {};
  const gone = () => stop('parent gone');
  const told = (message: unknown) => {
    if (message === 'stop') stop('parent');
  };
  process.on('disconnect', gone);
  process.on('message', told);
  // It may have gone while all this was loaded, when nobody listened.
  if (!process.connected) gone();
  return () => {
    process.off('disconnect', gone);
    process.off('message', told);
    if (process.connected) process.disconnect();
  };
}
