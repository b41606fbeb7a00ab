/** The secrets of the settings that may be in files, as they are now. Each thread that uses them has its own. */

import { ConfigurationError, errorMessage } from '../errors.js';
import type { Logger } from '../logging/logger.js';
import { onCluster } from '../settings/kafka-topics.js';
import type { Settings } from '../settings/table.js';
import { checkSendable } from '../settings/values/keys.js';
import { SecretFile } from './secret-file.js';

/** Those in use, and those that are to go. */
const MAX_KEYS = 8;

/** The keys in a file's text, a line each. Throws RangeError where there is none, or one that cannot be used. */
export function parseAdminKeys(text: string): readonly string[] {
  const keys = text.split(/\r?\n/).filter((line) => line !== '');
  if (keys.length === 0) throw new RangeError('holds no key');
  if (keys.length > MAX_KEYS) throw new RangeError(`holds more than ${MAX_KEYS} keys`);
  for (const key of keys) checkSendable(key);
  return keys;
}

/** Longer than any password: what is longer is another file altogether. */
const MAX_PASSWORD = 4096;

/** The password in a file's text. Throws RangeError where there is none, or more than a line. */
export function parsePassword(text: string): string {
  const line = text.replace(/\r?\n$/, '');
  if (line === '') throw new RangeError('is empty');
  if (line.length > MAX_PASSWORD || /[\r\n]/.test(line)) throw new RangeError('holds more than one line');
  return line;
}

/** What is wrong with the file of `grpc_admin_api_key_file`, and with having it beside the key. */
export function adminKeyFileProblems(settings: Settings): readonly string[] {
  const { grpc_admin_api_key: key, grpc_admin_api_key_file: path } = settings;
  if (path === '') return [];
  if (key !== '') return ['grpc_admin_api_key_file: must be empty where grpc_admin_api_key is set'];
  try {
    new SecretFile({ parse: parseAdminKeys }, { setting: 'grpc_admin_api_key_file', path });
    return [];
  } catch (error) {
    return error instanceof ConfigurationError ? error.problems : [errorMessage(error)];
  }
}

export class Secrets {
  readonly #settings: Settings;
  /** Of `grpc_admin_api_key_file`, where that is set. */
  readonly adminKeyFile: SecretFile<readonly string[]> | undefined;
  readonly #passwordFile: SecretFile<string> | undefined;

  /** Reads the files. Throws ConfigurationError naming the setting of one that cannot be used. `logger`: of the thread that tells of them. */
  constructor(settings: Settings, logger?: Logger) {
    this.#settings = settings;
    const { grpc_admin_api_key_file: keys, KAFKA_SASL_PASSWORD_FILE: password } = settings;
    if (keys !== '') {
      const setting = 'grpc_admin_api_key_file';
      this.adminKeyFile = new SecretFile({ parse: parseAdminKeys, logger }, { setting, path: keys });
    }
    if (password !== '' && settings.KAFKA_SASL_MECHANISM !== '' && onCluster(settings)) {
      const setting = 'KAFKA_SASL_PASSWORD_FILE';
      this.#passwordFile = new SecretFile({ parse: parsePassword, logger }, { setting, path: password });
    }
  }

  /** What our calls to other services carry as `x-api-key`; empty: nothing. */
  get apiKey(): string {
    return this.adminKeyFile?.current[0] ?? this.#settings.grpc_admin_api_key;
  }

  /** Each that may stand in what a service says: none is to be in the log. */
  get apiKeys(): readonly string[] {
    return this.adminKeyFile?.current ?? [this.#settings.grpc_admin_api_key].filter((key) => key !== '');
  }

  /** The password for SASL; empty where none is set. */
  get kafkaPassword(): string {
    return this.#passwordFile?.current ?? this.#settings.KAFKA_SASL_PASSWORD;
  }

  start(): void {
    this.adminKeyFile?.start();
    this.#passwordFile?.start();
  }

  stop(): void {
    this.adminKeyFile?.stop();
    this.#passwordFile?.stop();
  }
}
