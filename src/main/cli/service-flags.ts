/** The command line of Teranode's own program, which is told by flags which of its services to run. */

/** What a command line wants. */
export type ServiceWish = 'start' | 'help' | 'version';

/** Thrown for a command line that cannot be followed. */
export class FlagError extends Error {
  override readonly name = 'FlagError';
}

/** As Go's `strconv.ParseBool`. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...['1', 't', 'T', 'TRUE', 'true', 'True'].map((text) => [text, true] as const),
  ...['0', 'f', 'F', 'FALSE', 'false', 'False'].map((text) => [text, false] as const),
]);

/** Which of Teranode's flags ask for no service. This server waits for whatever it needs, told or not. */
const OTHERS: Readonly<Record<string, ServiceWish | undefined>> = {
  help: 'help',
  h: 'help',
  version: 'version',
  v: 'version',
  wait_for_postgres: undefined,
};

/**
 * Reads flags as Go's `flag` package does: one dash or two, `-p2p`, `-p2p=1`, `-p2p=true`. What switches another service off, as `-all=0`,
 * is already so. Throws FlagError where another service is asked for, or none.
 */
export function serviceWish(args: readonly string[]): ServiceWish {
  let p2p: boolean | undefined;
  for (const arg of args) {
    const [, name = '', text = '1'] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name === '') throw new FlagError(`${JSON.stringify(arg)} is no flag: one is written -p2p=1`);
    const on = BOOLEANS.get(text);
    if (on === undefined) throw new FlagError(`${JSON.stringify(arg)}: a flag is 1 or 0, true or false`);
    if (name === 'p2p') p2p = on;
    else if (Object.hasOwn(OTHERS, name)) {
      const wish = OTHERS[name];
      if (on && wish !== undefined) return wish;
    } else if (on) {
      throw new FlagError(
        `-${name} is not to be had here: this is the P2P service alone, which -p2p=1 starts; Teranode's other services are in Teranode's own image`,
      );
    }
  }
  if (p2p === true) return 'start';
  throw new FlagError(
    p2p === undefined
      ? 'nothing is asked for: -p2p=1 starts the P2P service, the only one that is here'
      : '-p2p is off, and no other service is here: -p2p=1 starts it',
  );
}

/** What `-help` says. */
export const SERVICE_USAGE = `Usage: teranode.run -p2p=1

Teranode's P2P service, by itself, under the name of Teranode's own program.

  -p2p=1      start it; stop it with SIGTERM, SIGINT or SIGHUP
  -help=1     this text
  -version=1  the version

Teranode's other services are in its own image; a flag that switches one off (-blockchain=0, -all=0) is taken, one that starts one is refused.
Settings are Teranode's: /app/settings.conf and settings_local.conf, SETTINGS_CONTEXT, and variables named as the keys. teranode-p2p --help lists
the commands beside it: teranode-p2p health, peers, check, settings show.`;
