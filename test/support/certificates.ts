/** A certificate authority of a test's own, in files. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';

export interface TestCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface CertificateOptions {
  /** Instead of localhost and 127.0.0.1. */
  readonly host?: string;
  /** It ended yesterday. */
  readonly expired?: boolean;
}

const DAY_MS = 86_400_000;

/** A self-signed certificate for localhost and 127.0.0.1, its own authority, in PEM files `<name>.crt` and `<name>.key`. */
export async function makeCertificate(
  directory: string,
  name: string,
  { host, expired = false }: CertificateOptions = {},
): Promise<TestCertificate> {
  const days = (count: number) => new Date(Date.now() + count * DAY_MS);
  const made = await generate([{ name: 'commonName', value: host ?? 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    ...(expired ? { notBeforeDate: days(-10), notAfterDate: days(-1) } : {}),
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames:
          host === undefined
            ? [
                { type: 2, value: 'localhost' },
                { type: 7, ip: '127.0.0.1' },
              ]
            : [{ type: 2, value: host }],
      },
    ],
  });
  const certificateFile = join(directory, `${name}.crt`);
  const keyFile = join(directory, `${name}.key`);
  writeFileSync(certificateFile, made.cert);
  writeFileSync(keyFile, made.private);
  return { certificate: made.cert, key: made.private, certificateFile, keyFile };
}
