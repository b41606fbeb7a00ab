/** Certificates, keys and authorities of TLS, from files. */

import { X509Certificate } from 'node:crypto';
import { readFileSync, type Stats, statSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { errorMessage } from '../errors.js';

export interface TlsFiles {
  /** `server_certFile`: PEM, with the chain. */
  readonly certFile: string;
  /** `server_keyFile`: PEM. */
  readonly keyFile: string;
}

/** A setting and the file that it names. */
export interface NamedFile {
  readonly setting: string;
  readonly path: string;
  /**
   * Whether the path may not be empty.
   * @default true
   */
  readonly required?: boolean;
}

const PARTS = ['cert', 'key', 'ca'] as const;
type Part = (typeof PARTS)[number];

/** Files in PEM that belong together: a certificate with its key, and the authorities that the other side's is checked against. */
export interface TlsFileSet {
  readonly files: { readonly [part in Part]?: NamedFile };
  /** The setting, and its value, that needs them. */
  readonly level: string;
}

/** What is in the files of a set. */
export type Pem = { readonly [part in Part]?: Buffer };

/** What was read of a set: a text says why a file cannot be read. */
export type TlsFileContents = ReadonlyMap<Part, Buffer | string>;

const WHAT: Readonly<Record<Part, string>> = { cert: 'certificate', key: 'key', ca: 'certificate' };

/** The same without and with waiting: a network volume that hangs must not hold the thread. */
export function readTlsFilesSync({ files }: TlsFileSet): TlsFileContents {
  const found = new Map<Part, Buffer | string>();
  for (const [part, { path }] of namedIn(files)) {
    try {
      checkIsFile(statSync(path));
      found.set(part, readFileSync(path));
    } catch (error) {
      found.set(part, errorMessage(error));
    }
  }
  return found;
}

/** One file after the other: what hangs takes one of libuv's threads, not all. */
export async function readTlsFiles({ files }: TlsFileSet): Promise<TlsFileContents> {
  const found = new Map<Part, Buffer | string>();
  for (const [part, { path }] of namedIn(files)) {
    try {
      checkIsFile(await stat(path));
      found.set(part, await readFile(path));
    } catch (error) {
      found.set(part, errorMessage(error));
    }
  }
  return found;
}

/** Who reads a pipe waits for a writer, and a device may have no end. */
export function checkIsFile(facts: Stats): void {
  if (!facts.isFile()) throw new Error('it is not a file');
}

function namedIn(files: TlsFileSet['files']): [Part, NamedFile][] {
  return PARTS.flatMap((part): [Part, NamedFile][] => {
    const file = files[part];
    return file === undefined || file.path === '' ? [] : [[part, file]];
  });
}

/** What `contents` make, or what is wrong: each line names a setting whose file is missing, unreadable or does not fit. */
export function wholePem(
  { files, level }: TlsFileSet,
  contents: TlsFileContents,
): { readonly problems: readonly string[]; readonly pem: Pem } {
  const problems: string[] = [];
  const pem: { [part in Part]?: Buffer } = {};
  for (const part of PARTS) {
    const file = files[part];
    if (file === undefined) continue;
    const { setting, path, required = true } = file;
    const found = contents.get(part);
    if (found === undefined) {
      if (required) problems.push(`${setting}: needed at ${level}`);
    } else if (typeof found === 'string') {
      problems.push(`${setting}: ${path} cannot be read: ${found}`);
    } else {
      try {
        if (part === 'ca') checkAuthorities(found);
        else createSecureContext({ [part]: found });
        pem[part] = found;
      } catch (error) {
        problems.push(`${setting}: ${path} is not a PEM ${WHAT[part]}: ${errorMessage(error)}`);
      }
    }
  }
  const { cert, key } = pem;
  if (cert !== undefined && key !== undefined) {
    try {
      createSecureContext({ cert, key });
    } catch (error) {
      const [of, to] = [files.key, files.cert];
      problems.push(`${of?.setting}: ${of?.path} does not belong to ${to?.path}: ${errorMessage(error)}`);
    }
  }
  return { problems, pem };
}

/** OpenSSL takes anything for authorities and ignores what are none, all of them if need be. */
function checkAuthorities(pem: Buffer): void {
  const text = pem.toString('latin1');
  const count = (line: string): number => text.split(`-----${line} CERTIFICATE-----`).length;
  if (count('BEGIN') !== count('END')) throw new Error('it breaks off within a certificate');
  new X509Certificate(pem);
}

/** What is wrong with the files of `set`, each line beginning with a setting. */
export function tlsFileProblems(set: TlsFileSet | undefined): readonly string[] {
  return set === undefined ? [] : wholePem(set, readTlsFilesSync(set)).problems;
}

/** The set of an HTTPS server. */
export function serverFiles({ certFile, keyFile }: TlsFiles, level = 'securityLevelHTTP 1'): TlsFileSet {
  return {
    files: {
      cert: { setting: 'server_certFile', path: certFile },
      key: { setting: 'server_keyFile', path: keyFile },
    },
    level,
  };
}
