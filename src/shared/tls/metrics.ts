import { Counter, Gauge, type Registry } from 'prom-client';

/** Of the files of TLS, by what they are for: `websocket`, `peerservice`, `services` (calls to other services) or `kafka`. */
export function createTlsMetrics(registry: Registry) {
  const registers = [registry];
  return {
    expiry: new Gauge({
      name: 'teranode_p2p_tls_certificate_expiry_timestamp_seconds',
      help: 'When the certificate that is in use ends, in unix seconds.',
      labelNames: ['use'],
      registers,
    }),
    refused: new Gauge({
      name: 'teranode_p2p_tls_files_refused',
      help: '1 while the files are others than those in use and do not make a whole pair.',
      labelNames: ['use'],
      registers,
    }),
    reloads: new Counter({
      name: 'teranode_p2p_tls_reloads_total',
      help: 'Changes of the files by what became of them: reloaded or refused.',
      labelNames: ['use', 'outcome'],
      registers,
    }),
  };
}

export type TlsMetrics = ReturnType<typeof createTlsMetrics>;
