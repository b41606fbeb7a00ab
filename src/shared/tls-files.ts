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

/** A setting and the file that it names. */
export interface NamedFile {
  readonly setting: string;
  readonly path: string;
  /** Whether the path may not be empty; true unless told. */
  readonly required?: boolean;
}

/** Files in PEM: a certificate with its key, and the authorities that the other side's is checked against. */
export interface PemFiles {
  readonly cert?: NamedFile;
  readonly key?: NamedFile;
  readonly ca?: NamedFile;
}

/** What is wrong with `files`, each line naming a setting whose file is missing, unreadable or does not fit; `level` needs them. */
export function pemProblems(files: PemFiles, level: string): readonly string[] {
  const problems: string[] = [];
  const read = tlsFileReader(problems, level);
  const checked = (part: keyof PemFiles, what: string): Buffer | null => {
    const file = files[part];
    const bytes = file === undefined ? null : read(file.setting, file.path, file.required ?? true);
    if (file === undefined || bytes === null) return null;
    try {
      createSecureContext({ [part]: bytes });
      return bytes;
    } catch (error) {
      problems.push(`${file.setting}: ${file.path} is not a PEM ${what}: ${errorMessage(error)}`);
      return null;
    }
  };
  const cert = checked('cert', 'certificate');
  const key = checked('key', 'key');
  checked('ca', 'certificate');
  if (cert === null || key === null) return problems;
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const { path } = files.cert ?? {};
    problems.push(
      `${files.key?.setting}: ${files.key?.path} does not belong to ${path}: ${errorMessage(error)}`,
    );
  }
  return problems;
}

/** Throws ConfigurationError naming each setting whose file is missing, unreadable or does not fit. */
export function checkTlsFiles({ certFile, keyFile }: TlsFiles): void {
  const problems = pemProblems(
    {
      cert: { setting: 'server_certFile', path: certFile },
      key: { setting: 'server_keyFile', path: keyFile },
    },
    'securityLevelHTTP 1',
  );
  if (problems.length > 0) throw new ConfigurationError(problems);
}
