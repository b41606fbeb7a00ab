/** TLS and SASL to the brokers, from the `KAFKA_` settings and the files that they name. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { wall } from '../../clock.js';
import { ConfigurationError, errorMessage } from '../../errors.js';
import { parsePassword } from '../../secrets/secrets.js';
import { onCluster } from '../../settings/kafka-topics.js';
import type { Settings } from '../../settings/table.js';
import type { TlsFileSet } from '../../tls/files.js';

/** The settings that are read here. */
export type KafkaSecuritySettings = Pick<
  Settings,
  | 'KAFKA_ENABLE_TLS'
  | 'KAFKA_TLS_SKIP_VERIFY'
  | 'KAFKA_TLS_CA_FILE'
  | 'KAFKA_TLS_CERT_FILE'
  | 'KAFKA_TLS_KEY_FILE'
  | 'KAFKA_SASL_MECHANISM'
  | 'KAFKA_SASL_USERNAME'
  | 'KAFKA_SASL_PASSWORD'
  | 'KAFKA_SASL_PASSWORD_FILE'
>;

export interface KafkaTls {
  readonly verify: boolean;
  /** PEM; undefined: the authorities that Node brings. */
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
}

export interface KafkaSasl {
  readonly mechanism: Exclude<Settings['KAFKA_SASL_MECHANISM'], ''>;
  readonly username: string;
  readonly password: string;
}

export interface KafkaSecurity {
  readonly tls: KafkaTls | undefined;
  readonly sasl: KafkaSasl | undefined;
}

/** The files of TLS to the brokers, where they are on a cluster and any is set. */
export function kafkaFiles(settings: Settings): TlsFileSet | undefined {
  if (!onCluster(settings) || !settings.KAFKA_ENABLE_TLS) return undefined;
  const named = (setting: 'KAFKA_TLS_CA_FILE' | 'KAFKA_TLS_CERT_FILE' | 'KAFKA_TLS_KEY_FILE') => ({
    setting,
    path: settings[setting],
    required: false,
  });
  return {
    files: {
      cert: named('KAFKA_TLS_CERT_FILE'),
      key: named('KAFKA_TLS_KEY_FILE'),
      ca: named('KAFKA_TLS_CA_FILE'),
    },
    level: 'KAFKA_ENABLE_TLS',
  };
}

/** Throws ConfigurationError with every problem, each naming its setting. Nothing quotes a password. */
export function readKafkaSecurity(settings: KafkaSecuritySettings): KafkaSecurity {
  const problems: string[] = [];
  const tls = settings.KAFKA_ENABLE_TLS ? readTls(settings, problems) : undefined;
  const sasl = readSasl(settings, problems);
  if (problems.length > 0) throw new ConfigurationError(problems);
  return { tls, sasl };
}

/** What {@link readKafkaSecurity} would throw, as lines. */
export function kafkaSecurityProblems(settings: KafkaSecuritySettings): readonly string[] {
  try {
    readKafkaSecurity(settings);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

/** What is allowed and yet probably not meant, a line each. */
export function kafkaSecurityWarnings(
  settings: KafkaSecuritySettings,
  now = wall.certificate(),
): readonly string[] {
  const warnings: string[] = [];
  if (settings.KAFKA_SASL_MECHANISM !== '' && !settings.KAFKA_ENABLE_TLS) {
    warnings.push(
      settings.KAFKA_SASL_MECHANISM === 'PLAIN'
        ? 'KAFKA_SASL_MECHANISM: PLAIN without KAFKA_ENABLE_TLS sends the password in the clear'
        : 'KAFKA_SASL_MECHANISM: without KAFKA_ENABLE_TLS nothing shows that the brokers are who they say, and records go in the clear',
    );
  }
  const { KAFKA_ENABLE_TLS: enabled, KAFKA_TLS_SKIP_VERIFY: unverified } = settings;
  if (enabled && unverified) {
    warnings.push('KAFKA_TLS_SKIP_VERIFY: the certificates of the brokers are not verified');
  }
  for (const key of ['KAFKA_TLS_CA_FILE', 'KAFKA_TLS_CERT_FILE', 'KAFKA_TLS_KEY_FILE'] as const) {
    if (!enabled && settings[key] !== '') warnings.push(`${key}: is not read, as KAFKA_ENABLE_TLS is false`);
  }
  if (enabled && settings.KAFKA_TLS_CERT_FILE !== '') {
    const ends = endOf(settings.KAFKA_TLS_CERT_FILE);
    if (ends !== undefined && ends <= now) {
      warnings.push(`KAFKA_TLS_CERT_FILE: the certificate ended at ${new Date(ends).toISOString()}`);
    }
  }
  return warnings;
}

/** Unix ms; undefined when the file is none. */
function endOf(path: string): number | undefined {
  try {
    return Date.parse(new X509Certificate(readFileSync(path)).validTo);
  } catch {
    return undefined;
  }
}

function readTls(settings: KafkaSecuritySettings, problems: string[]): KafkaTls {
  type Key = 'KAFKA_TLS_CA_FILE' | 'KAFKA_TLS_CERT_FILE' | 'KAFKA_TLS_KEY_FILE';
  const read = <T>(
    key: Key,
    what: string,
    parse: (pem: Buffer) => T,
  ): { pem: Buffer; parsed: T } | undefined => {
    const path = settings[key];
    if (path === '') return undefined;
    let pem: Buffer;
    try {
      pem = readFileSync(path);
    } catch (error) {
      problems.push(`${key}: cannot be read: ${errorMessage(error)}`);
      return undefined;
    }
    try {
      return { pem, parsed: parse(pem) };
    } catch (error) {
      problems.push(`${key}: ${path} is not ${what}: ${errorMessage(error)}`);
      return undefined;
    }
  };
  const certificate = (pem: Buffer) => new X509Certificate(pem);
  const ca = read('KAFKA_TLS_CA_FILE', 'a PEM certificate', certificate);
  const cert = read('KAFKA_TLS_CERT_FILE', 'a PEM certificate', certificate);
  const key = read('KAFKA_TLS_KEY_FILE', 'a PEM key without a passphrase', (pem) => createPrivateKey(pem));
  if ((settings.KAFKA_TLS_CERT_FILE === '') !== (settings.KAFKA_TLS_KEY_FILE === '')) {
    const missing = settings.KAFKA_TLS_CERT_FILE === '' ? 'KAFKA_TLS_CERT_FILE' : 'KAFKA_TLS_KEY_FILE';
    problems.push(`${missing}: client certificate and key are needed together or not at all`);
  }
  if (cert !== undefined && key !== undefined && !cert.parsed.checkPrivateKey(key.parsed)) {
    problems.push('KAFKA_TLS_KEY_FILE: is not the key of the certificate in KAFKA_TLS_CERT_FILE');
  }
  return { verify: !settings.KAFKA_TLS_SKIP_VERIFY, ca: ca?.pem, cert: cert?.pem, key: key?.pem };
}

function readSasl(settings: KafkaSecuritySettings, problems: string[]): KafkaSasl | undefined {
  const { KAFKA_SASL_MECHANISM: mechanism, KAFKA_SASL_USERNAME: username } = settings;
  const given = settings.KAFKA_SASL_PASSWORD;
  const path = settings.KAFKA_SASL_PASSWORD_FILE;
  if (mechanism === '') {
    const [first] = (
      ['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD', 'KAFKA_SASL_PASSWORD_FILE'] as const
    ).filter((key) => settings[key] !== '');
    if (first !== undefined) problems.push(`KAFKA_SASL_MECHANISM: must not be empty where ${first} is set`);
    return undefined;
  }
  if (username === '') {
    problems.push(`KAFKA_SASL_USERNAME: must not be empty where KAFKA_SASL_MECHANISM is ${mechanism}`);
  }
  if (given !== '' && path !== '') {
    problems.push('KAFKA_SASL_PASSWORD_FILE: must be empty where KAFKA_SASL_PASSWORD is set');
  }
  const password = path === '' ? given : (readPassword(path, problems) ?? '');
  if (given === '' && path === '') {
    problems.push(
      `KAFKA_SASL_PASSWORD: it or KAFKA_SASL_PASSWORD_FILE is needed where KAFKA_SASL_MECHANISM is ${mechanism}`,
    );
  }
  return { mechanism, username, password };
}

/** The file's text without the end of its last line. */
function readPassword(path: string, problems: string[]): string | undefined {
  const problem = (what: string): undefined => {
    problems.push(`KAFKA_SASL_PASSWORD_FILE: ${what}`);
  };
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    return problem(`cannot be read: ${errorMessage(error)}`);
  }
  try {
    return parsePassword(text);
  } catch (error) {
    return problem(`${path} ${errorMessage(error)}`);
  }
}
