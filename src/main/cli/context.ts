/** What every command starts from: the terminal, the settings, the running server. */

import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError } from 'commander';
import { errorMessage, UnavailableError } from '../../shared/errors.js';
import type { PeerServiceClient } from '../../shared/grpc/peer-service-client.js';
import { type RunFile, readRunFile } from '../../shared/process/run-file.js';
import { parseAdminKeys } from '../../shared/secrets/secrets.js';
import { type LoadedSettings, loadSettings, type SettingsCheck } from '../../shared/settings/load.js';
import type { Settings } from '../../shared/settings/table.js';
import { parseGoDuration } from '../../shared/settings/values/duration.js';
import type { Terminal } from './terminal.js';

/** A failure that the message says all about: no stack, exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Settings with the command's `--set`, whose warnings go to standard error. */
export function settingsFor(command: Command, terminal: Terminal): LoadedSettings {
  const loaded = loadFor(command);
  for (const warning of loaded.warnings) terminal.note(`warning: ${warning}`);
  return loaded;
}

/** Settings with the command's `--set`, or with `sets`, checked by `check`; what to warn of is the caller's to say. */
export function loadFor(
  command: Command,
  check?: SettingsCheck,
  sets: readonly string[] = command.optsWithGlobals<{ set?: string[] }>().set ?? [],
): LoadedSettings {
  return loadSettings(
    {
      sets,
      env: process.env,
      cwd: process.cwd(),
      programDirectory: dirname(fileURLToPath(import.meta.url)),
    },
    check,
  );
}

/** How to reach the server that runs on this `DATADIR`. Throws UnavailableError when none does. */
export function runningServer(settings: Settings): RunFile {
  const run = readRunFile(settings.DATADIR);
  if (run === undefined) {
    throw new UnavailableError(
      `no server runs on DATADIR ${resolve(settings.DATADIR)}; name its directory with --set DATADIR=…`,
    );
  }
  return run;
}

const LOOPBACK = /^(?:localhost|127\.[\d.]+|::1)$/;

/**
 * Says it where a command goes by port to another server of this machine than the one that runs on `DATADIR`: `address` is the
 * value of `setting`, `server` which of that one's ports is meant.
 */
export function noteOtherServer(
  settings: Settings,
  {
    setting,
    server,
  }: {
    readonly setting: 'p2p_grpcAddress' | 'p2p_httpAddress' | 'health_check_httpListenAddress';
    readonly server: 'grpc' | 'http' | 'health';
  },
  terminal: Terminal,
): void {
  const run = readRunFile(settings.DATADIR);
  const own = run?.ports[server];
  if (run === undefined || own === undefined) return;
  const { host = 'localhost', port = own } = settings[setting] ?? {};
  if (port === own || port === 0 || !LOOPBACK.test(host)) return;
  terminal.note(
    `note: port ${port} (${setting}) is asked, not ${own}, where the server of ${resolve(settings.DATADIR)} is, ${run.peerId}`,
  );
}

/**
 * Works with a client of PeerService that sends the admin key this machine knows. A server that is not there is told in one
 * sentence. Throws CommandError when `admin` is wanted and no key is known.
 */
export async function withPeerService(
  settings: Settings,
  terminal: Terminal,
  work: (client: PeerServiceClient) => Promise<void>,
  { admin = false }: { readonly admin?: boolean } = {},
): Promise<void> {
  const { p2p_grpcAddress: address } = settings;
  if (address === undefined) throw new CommandError('p2p_grpcAddress is empty: no server can be asked');
  noteOtherServer(settings, { setting: 'p2p_grpcAddress', server: 'grpc' }, terminal);
  const adminKey = setAdminKey(settings) || (admin ? await keptAdminKey(settings) : undefined);
  // Loaded where it is used: the other commands need not wait for gRPC.
  const { PeerServiceClient } = await import('../../shared/grpc/peer-service-client.js');
  const client = new PeerServiceClient(address.text, {
    ...(adminKey === undefined ? {} : { adminKey }),
    tls: settings,
  });
  try {
    await work(client);
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    const reason = /\b(E[A-Z]{4,})\b/.exec(error.message)?.[1] ?? error.message;
    throw new UnavailableError(`no server answers at ${address.text} (p2p_grpcAddress): ${reason}`, {
      cause: error,
    });
  } finally {
    client.close();
  }
}

/** Empty where the settings have none, in a file either. Throws CommandError where that cannot be read. */
function setAdminKey({ grpc_admin_api_key: key, grpc_admin_api_key_file: path }: Settings): string {
  if (key !== '' || path === '') return key;
  try {
    return parseAdminKeys(readFileSync(path, 'utf8'))[0] ?? '';
  } catch (error) {
    throw new CommandError(`grpc_admin_api_key_file: ${path}: ${errorMessage(error)}`);
  }
}

async function keptAdminKey({ DATADIR }: Settings): Promise<string> {
  const { ADMIN_KEY_FILE } = await import('../grpc/admin-key.js');
  const path = resolve(DATADIR, ADMIN_KEY_FILE);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    const why = missing ? 'does not exist' : `cannot be read: ${errorMessage(error)}`;
    throw new CommandError(`no admin key: ${path} ${why}; set grpc_admin_api_key or DATADIR`);
  }
}

/** An option's duration in ms: Go's, and `7d`. */
export function durationArgument(text: string): number {
  const days = /^(\d{1,5})d$/.exec(text);
  try {
    const milliseconds = days ? Number(days[1]) * 86_400_000 : parseGoDuration(text);
    if (milliseconds > 0) return milliseconds;
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('Expected a duration such as 30m, 24h or 7d.');
}

/** An option's whole number from 0 up. */
export function countArgument(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number.');
}

/** Resolves with the first SIGINT or SIGTERM. */
export function interrupted(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal));
  });
}
