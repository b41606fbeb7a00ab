import { Counter, Gauge, type Registry } from 'prom-client';
import type { ArchiveSegment } from '../../shared/archive/segment.js';

/** `list`: what is archived now. */
export function createArchiveMetrics(registry: Registry, list: () => readonly ArchiveSegment[]) {
  const registers = [registry];
  new Gauge({
    name: 'teranode_p2p_archive_segments',
    help: 'Sealed segments of the journal that are archived and kept.',
    registers,
    collect() {
      this.set(list().length);
    },
  });
  new Gauge({
    name: 'teranode_p2p_archive_bytes',
    help: 'Bytes of the archive.',
    registers,
    collect() {
      this.set(list().reduce((sum, { bytes }) => sum + bytes, 0));
    },
  });
  return {
    failures: new Counter({
      name: 'teranode_p2p_archive_failures_total',
      help: 'Times that archiving failed; it is tried again each minute.',
      registers,
    }),
  };
}

export type ArchiveMetrics = ReturnType<typeof createArchiveMetrics>;
