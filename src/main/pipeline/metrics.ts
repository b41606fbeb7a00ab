/** What the pipeline counts. */

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { MESSAGE_KINDS } from '../../shared/messages/index.js';
import { OUTCOMES } from '../../shared/messages/outcomes.js';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

/** What waits for a checker. */
export interface Waiting {
  readonly bytes: number;
  readonly length: number;
}

export type PipelineMetrics = ReturnType<typeof createPipelineMetrics>;

export function createPipelineMetrics(registry: Registry) {
  const registers = [registry];
  const kindNames = MESSAGE_KINDS.map(({ name }) => name);
  let queue: Waiting = { bytes: 0, length: 0 };
  let publishingBytes = () => 0;
  new Gauge({
    name: 'teranode_p2p_pipeline_queued_bytes',
    help: 'Bytes of gossip waiting for a checker.',
    registers,
    collect() {
      this.set(queue.bytes);
    },
  });
  new Gauge({
    name: 'teranode_p2p_pipeline_queued_messages',
    help: 'Messages waiting for a checker.',
    registers,
    collect() {
      this.set(queue.length);
    },
  });
  new Gauge({
    name: 'teranode_p2p_pipeline_publishing_bytes',
    help: 'Bytes of checked messages that the publisher has not answered.',
    registers,
    collect() {
      this.set(publishingBytes());
    },
  });
  return {
    /** As `showQueue`. */
    showPublishing(bytes: () => number): void {
      publishingBytes = bytes;
    },
    /** Has the scrape ask it: gauges set at every message would cost more than the queue itself. */
    showQueue(shown: Waiting): void {
      queue = shown;
    },
    messages: zeroedCounter({
      name: 'teranode_p2p_messages_total',
      help: 'Messages that came, by kind and what became of them; of copies the first alone.',
      labels: { kind: kindNames, outcome: OUTCOMES.map((outcome) => outcome.name) },
      registers,
    }),
    batchMessages: new Histogram({
      name: 'teranode_p2p_pipeline_batch_messages',
      help: 'Messages in a batch.',
      buckets: [1, 4, 16, 64, 128, 256],
      registers,
    }),
    stageSeconds: new Histogram({
      name: 'teranode_p2p_pipeline_stage_seconds',
      help: 'Seconds that a batch spends in a stage.',
      labelNames: ['stage'],
      buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10],
      registers,
    }),
    checkingSeconds: zeroedCounter({
      name: 'teranode_p2p_pipeline_checking_seconds_total',
      help: 'Seconds spent on verifying and checking messages, by kind.',
      labels: { kind: kindNames },
      registers,
    }),
    batchesInFlight: new Gauge({
      name: 'teranode_p2p_pipeline_batches_in_flight',
      help: 'Batches with the checkers, or done and waiting for those before them.',
      registers,
    }),
    unclaimed: new Counter({
      name: 'teranode_p2p_pipeline_unclaimed_total',
      help: 'Checked messages that GossipSub did not take for new, or that were our own come back: dropped.',
      registers,
    }),
    workerDeaths: zeroedCounter({
      name: 'teranode_p2p_pipeline_worker_deaths_total',
      help: 'Worker threads that ended unasked or were ended because they hung.',
      labels: { pool: ['checker', 'publisher'] },
      registers,
    }),
  };
}
