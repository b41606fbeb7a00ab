/** Files of TLS as a volume of Kubernetes has them, and the ways in which they are replaced. */

import { X509Certificate } from 'node:crypto';
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import { makeCertificate, type TestCertificate } from './certificates.js';
import { temporaryDirectory } from './temporary.js';

/** `tls.crt`, `tls.key` and `ca.crt`, each a link through `..data` into a folder of its version. */
export class RotatingFiles {
  readonly #context: Pick<TestContext, 'after'>;
  readonly #directory: string;
  #version = 0;

  constructor(context: Pick<TestContext, 'after'>) {
    this.#context = context;
    this.#directory = temporaryDirectory(context);
    for (const name of ['tls.crt', 'tls.key', 'ca.crt']) symlinkSync(join('..data', name), this.#path(name));
  }

  get certFile(): string {
    return this.#path('tls.crt');
  }

  get keyFile(): string {
    return this.#path('tls.key');
  }

  get caFile(): string {
    return this.#path('ca.crt');
  }

  /** A new pair, in no file that anybody reads. */
  make(): Promise<TestCertificate> {
    return makeCertificate(temporaryDirectory(this.#context), 'made');
  }

  /** Points the link at a new folder, as the kubelet does. */
  swap(pair: TestCertificate, ca = pair): void {
    const version = `..version-${++this.#version}`;
    mkdirSync(this.#path(version));
    for (const [name, text] of [
      ['tls.crt', pair.certificate],
      ['tls.key', pair.key],
      ['ca.crt', ca.certificate],
    ] as const) {
      writeFileSync(join(this.#path(version), name), text);
    }
    symlinkSync(version, this.#path('..data_tmp'));
    renameSync(this.#path('..data_tmp'), this.#path('..data'));
  }

  /** Writes over the files that are there; of a pair only the certificate, where told. */
  overwrite(pair: TestCertificate, what: 'pair' | 'certificate' = 'pair'): void {
    writeFileSync(this.certFile, pair.certificate);
    if (what === 'pair') writeFileSync(this.keyFile, pair.key);
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

export function fingerprint({ certificate }: TestCertificate): string {
  return new X509Certificate(certificate).fingerprint256;
}

/** Fingerprint of the certificate that a TLS server on this machine shows to a new connection. */
export function shownAt(port: number, protocol: 'h2' | 'http/1.1' = 'h2'): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [protocol] };
    const socket = connect(options, () => {
      const { fingerprint256 } = socket.getPeerCertificate();
      socket.destroy();
      resolve(fingerprint256);
    });
    socket.on('error', reject);
  });
}
