/** The command line of Teranode's own program, which is told by flags which of its services to run. */

/** What a command line wants. */
export interface ServiceWish {
  readonly wish: 'start' | 'help' | 'version';
  /** Arguments that mean nothing here, as they were given. */
  readonly passedOver: readonly string[];
}

/** Thrown for a command line that cannot be followed. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** As Go's `strconv.ParseBool`. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

/** Flags of Teranode's other services. */
const OTHER_SERVICES: ReadonlySet<string> = new Set([
  'alert',
  'asset',
  'blockassembly',
  'blockchain',
  'blockpersister',
  'blockvalidation',
  'coinbase',
  'faucet',
  'legacy',
  'propagation',
  'pruner',
  'rpc',
  'subtreevalidation',
  'utxopersister',
  'validator',
]);

const ASKING: Readonly<Record<string, 'help' | 'version'>> = {
  help: 'help',
  h: 'help',
  version: 'version',
  v: 'version',
};

/**
 * Reads a command line as Teranode's program does: it looks for `-p2p=1`, wherever that stands, and passes over whatever it does not look for. Taken
 * besides are the other forms that Go's package `flag` has for it (`-p2p`, `--p2p=true`). Throws FlagError where another service is asked for, or none.
 */
export function serviceWish(args: readonly string[]): ServiceWish {
  let p2p: boolean | undefined;
  let asked: 'help' | 'version' | undefined;
  const passedOver: string[] = [];
  for (const arg of args) {
    const [, name = '', text = '1'] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    const on = BOOLEANS.get(text);
    if (name === 'p2p' && on !== undefined) p2p = p2p === true || on;
    else if (Object.hasOwn(ASKING, name) && on !== undefined) asked ??= on ? ASKING[name] : undefined;
    else if (OTHER_SERVICES.has(name) && on !== undefined) {
      if (!on) continue;
      throw new FlagError(
        `-${name} is not to be had here: this is the P2P service alone, which -p2p=1 starts; Teranode's other services are in Teranode's own image`,
      );
    } else if (!isSettled(name, on)) passedOver.push(arg);
  }
  if (asked !== undefined) return { wish: asked, passedOver };
  if (p2p === true) return { wish: 'start', passedOver };
  throw new FlagError(
    p2p === undefined
      ? 'nothing is asked for: -p2p=1 starts the P2P service, the only one that is here'
      : '-p2p is off, and no other service is here: -p2p=1 starts it',
  );
}

/** Whether a flag asks for what is so anyway: no other service runs, and this one waits for whatever it needs. */
function isSettled(name: string, on: boolean | undefined): boolean {
  return (name === 'all' && on === false) || name === 'wait_for_postgres';
}

/** What `-help` says. */
export const SERVICE_USAGE = `Usage: teranode.run -p2p=1

Teranode's P2P service, by itself, under the name of Teranode's own program.

  -p2p=1      start it; stop it with SIGTERM, SIGINT or SIGHUP
  -help=1     this text
  -version=1  the version

Teranode's other services are in its own image: a flag that starts one is refused. Other flags of Teranode's program mean nothing here and are passed over.
Settings are Teranode's: /app/settings.conf and settings_local.conf, SETTINGS_CONTEXT, and variables named as the keys. teranode-p2p --help lists
the commands beside it: teranode-p2p health, peers, check, settings show.`;
