/** Certificate and key of HTTPS, from files. */

import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ConfigurationError, errorMessage } from './errors.js';

export interface TlsFiles {
  /** `server_certFile`: PEM, with the chain. */
  readonly certFile: string;
  /** `server_keyFile`: PEM. */
  readonly keyFile: string;
}

/** The file of `setting` at `path`; null when the path is empty or the file cannot be read. */
export type TlsFileReader = (setting: string, path: string, required: boolean) => Buffer | null;

/** Reads files and puts what is wrong into `problems`, each line naming its setting; `level` says what needs them. */
export function tlsFileReader(problems: string[], level: string): TlsFileReader {
  return (setting, path, required) => {
    if (path === '') {
      if (required) problems.push(`${setting}: needed at ${level}`);
      return null;
    }
    try {
      return readFileSync(path);
    } catch (error) {
      problems.push(`${setting}: ${path} cannot be read: ${errorMessage(error)}`);
      return null;
    }
  };
}

/** Throws ConfigurationError naming each setting whose file is missing, unreadable or does not fit. */
export function checkTlsFiles({ certFile, keyFile }: TlsFiles): void {
  const problems: string[] = [];
  const read = tlsFileReader(problems, 'securityLevelHTTP 1');
  const cert = read('server_certFile', certFile, true);
  const key = read('server_keyFile', keyFile, true);
  if (cert !== null) {
    try {
      createSecureContext({ cert });
    } catch (error) {
      problems.push(`server_certFile: ${certFile} is not a PEM certificate: ${errorMessage(error)}`);
    }
  }
  if (key !== null) {
    try {
      createSecureContext({ key });
    } catch (error) {
      problems.push(`server_keyFile: ${keyFile} is not a PEM key: ${errorMessage(error)}`);
    }
  }
  if (problems.length === 0 && cert !== null && key !== null) {
    try {
      createSecureContext({ cert, key });
    } catch (error) {
      problems.push(`server_keyFile: ${keyFile} does not belong to ${certFile}: ${errorMessage(error)}`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}
