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

/** A self-signed certificate for localhost and 127.0.0.1, its own authority, in PEM files `<name>.crt` and `<name>.key`. */
export async function makeCertificate(directory: string, name: string): Promise<TestCertificate> {
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  });
  const certificateFile = join(directory, `${name}.crt`);
  const keyFile = join(directory, `${name}.key`);
  writeFileSync(certificateFile, made.cert);
  writeFileSync(keyFile, made.private);
  return { certificate: made.cert, key: made.private, certificateFile, keyFile };
}
