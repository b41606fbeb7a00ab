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

/** Throws ConfigurationError naming each setting whose file is missing, unreadable or does not fit. */
export function checkTlsFiles({ certFile, keyFile }: TlsFiles): void {
  const problems: string[] = [];
  const read = (setting: string, path: string): Buffer | undefined => {
    if (path === '') {
      problems.push(`${setting}: needed for HTTPS (securityLevelHTTP = 1)`);
      return undefined;
    }
    try {
      return readFileSync(path);
    } catch (error) {
      problems.push(`${setting}: ${path} cannot be read: ${errorMessage(error)}`);
      return undefined;
    }
  };
  const cert = read('server_certFile', certFile);
  const key = read('server_keyFile', keyFile);
  if (cert !== undefined) {
    try {
      createSecureContext({ cert });
    } catch (error) {
      problems.push(`server_certFile: ${certFile} is not a PEM certificate: ${errorMessage(error)}`);
    }
  }
  if (key !== undefined) {
    try {
      createSecureContext({ key });
    } catch (error) {
      problems.push(`server_keyFile: ${keyFile} is not a PEM key: ${errorMessage(error)}`);
    }
  }
  if (problems.length === 0 && cert !== undefined && key !== undefined) {
    try {
      createSecureContext({ cert, key });
    } catch (error) {
      problems.push(`server_keyFile: ${keyFile} does not belong to ${certFile}: ${errorMessage(error)}`);
    }
  }
  if (problems.length > 0) throw new ConfigurationError(problems);
}
