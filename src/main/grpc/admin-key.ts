/** The key of admin calls: the setting's, or one made once and kept beside the data. */

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmod, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigurationError, errorMessage } from '../../shared/errors.js';
import { withOwner } from '../../shared/files/file-owner.js';
import type { DependencyHealth } from '../../shared/health.js';
import type { Logger } from '../../shared/logging/logger.js';
import type { SecretFile } from '../../shared/secrets/secret-file.js';
import { checkSendable } from '../../shared/settings/values/keys.js';
import { checkIsFile } from '../../shared/tls/files.js';

export const ADMIN_KEY_FILE = 'admin.key';

/** A kept key is 64 hex digits; one put there by hand may be anything of some length. */
const MIN_KEPT = 16;

/** Keys of public settings files and manuals, which guard nothing: those that Teranode's services refuse, in any case. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  'testkey',
  'test',
  'changeme',
  'change_me',
  'change-me',
  'password',
  'secret',
  'admin',
  'apikey',
  'api_key',
  'default',
]);
/** A shorter one can be guessed over the network; Teranode's services warn of it as well. */
const MIN_LENGTH = 16;

/** Keys that are compared in constant time and never shown. */
export class AdminKey {
  readonly #exposed: boolean;
  #accepted: readonly { readonly digest: Buffer; readonly isPlaceholder: boolean }[] = [];
  readonly #trouble: () => string | undefined;

  /**
   * `exposed`: more than this machine can reach where it is asked for. `trouble`: what keeps a new key from being taken. Throws RangeError on a key that
   * metadata cannot carry.
   */
  constructor(
    keys: string | readonly string[],
    {
      exposed = false,
      trouble = () => undefined,
    }: { readonly exposed?: boolean; readonly trouble?: () => string | undefined } = {},
  ) {
    this.#exposed = exposed;
    this.#trouble = trouble;
    this.replace(typeof keys === 'string' ? [keys] : keys);
  }

  /** From now on these are taken, and no others. Throws RangeError, and changes nothing, on one that metadata cannot carry. */
  replace(keys: readonly string[]): void {
    for (const key of keys) checkSendable(key);
    this.#accepted = keys.map((key) => ({
      digest: digest(key),
      isPlaceholder: PLACEHOLDERS.has(key.toLowerCase()),
    }));
  }

  /** Why a right key may open nothing here: it, or where there are several one of them, is a placeholder. */
  get refused(): string | undefined {
    return this.#exposed && this.#accepted.some(({ isPlaceholder }) => isPlaceholder)
      ? 'admin calls are refused: grpc_admin_api_key is a placeholder that everybody knows, and p2p_grpcListenAddress is open to other machines'
      : undefined;
  }

  /** For readiness: a key that opens nothing is a warning, for all but admin calls goes on. */
  health(): DependencyHealth {
    const warning = this.refused ?? this.#trouble();
    const message = warning === undefined ? 'admin calls need it' : `warning: ${warning}`;
    return { resource: 'admin key', status: 200, message };
  }

  /** Takes the same time wherever the first difference is, and for any length. */
  matches(offered: string): boolean {
    const asked = digest(offered);
    return this.#accepted.filter((key) => timingSafeEqual(key.digest, asked)).length > 0;
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text, 'utf8').digest();
}

/**
 * The key from `grpc_admin_api_key`, or those of `apiKeyFile`, which follow it, or, where neither is set, from `DATADIR/admin.key`, made there with mode 0600 when it is
 * missing. A placeholder is refused, not followed, where the listener is `exposed` to other machines. Throws ConfigurationError on a key that cannot be used or a file that cannot be read or holds none.
 */
export async function loadAdminKey(
  {
    apiKey,
    apiKeyFile,
    dataDirectory,
    exposed = false,
  }: {
    readonly apiKey: string;
    readonly apiKeyFile?: SecretFile<readonly string[]> | undefined;
    readonly dataDirectory: string;
    readonly exposed?: boolean;
  },
  logger: Logger,
): Promise<AdminKey> {
  const warn = (key: AdminKey, keys: readonly string[]): void => {
    if (key.refused !== undefined) logger.error(key.refused);
    else if (exposed && keys.some(({ length }) => length < MIN_LENGTH)) {
      logger.warn(`grpc_admin_api_key has fewer than ${MIN_LENGTH} characters and other machines can try it`);
    }
  };
  if (apiKeyFile !== undefined) {
    const key = new AdminKey(apiKeyFile.current, { exposed, trouble: () => apiKeyFile.refused });
    apiKeyFile.onChange((keys) => {
      key.replace(keys);
      warn(key, keys);
    });
    warn(key, apiKeyFile.current);
    return key;
  }
  if (apiKey !== '') {
    let key: AdminKey;
    try {
      key = new AdminKey(apiKey, { exposed });
    } catch (error) {
      throw new ConfigurationError([`grpc_admin_api_key: ${errorMessage(error)}`]);
    }
    warn(key, [apiKey]);
    return key;
  }
  const path = join(dataDirectory, ADMIN_KEY_FILE);
  const kept = await readAdminKeyFile(path);
  if (kept !== undefined) {
    await guard(path, logger);
    return new AdminKey(kept);
  }
  const key = randomBytes(32).toString('hex');
  await keep(path, key);
  logger.info({ path }, 'made a key for admin calls');
  return new AdminKey(key);
}

/** The key in the file; undefined where there is none. Throws ConfigurationError where it cannot be used. */
export async function readAdminKeyFile(path: string): Promise<string | undefined> {
  let text: string;
  try {
    checkIsFile(await stat(path));
    text = (await readFile(path, 'utf8')).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new ConfigurationError([`DATADIR: ${path} cannot be read: ${withOwner(path, error)}`]);
  }
  if (text.length < MIN_KEPT || !isSendable(text)) {
    throw new ConfigurationError([`DATADIR: ${path} holds no key; remove it to have a new one made`]);
  }
  return text;
}

function isSendable(key: string): boolean {
  try {
    checkSendable(key);
    return true;
  } catch {
    return false;
  }
}

/** Takes back what others may do with the file. */
async function guard(path: string, logger: Logger): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  logger.warn({ path, mode: (mode & 0o777).toString(8) }, 'others could read the admin key; mode set to 600');
  try {
    await chmod(path, 0o600);
  } catch (error) {
    throw new ConfigurationError([`DATADIR: ${path} is open to others: ${errorMessage(error)}`]);
  }
}

/** All of it or nothing, whatever happens meanwhile. */
async function keep(path: string, key: string): Promise<void> {
  const unfinished = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    const file = await open(unfinished, 'wx', 0o600);
    try {
      await file.writeFile(`${key}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, { force: true }).catch(() => {});
    throw new ConfigurationError([`DATADIR: ${path} cannot be written: ${withOwner(path, error)}`]);
  }
}
