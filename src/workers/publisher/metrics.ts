import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import { OUTCOMES } from '../../shared/messages/outcomes.js';
import { zeroedCounter } from '../../shared/metrics/zeroed-counter.js';

const BUCKETS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2];

/** The publisher's own. Each series is there from the beginning: one that is born with its first event shows no increase. */
export function createPublisherMetrics(registry: Registry) {
  const registers = [registry];
  return {
    messages: zeroedCounter({
      name: 'teranode_p2p_publisher_messages_total',
      help: 'Messages that reached the publisher, by outcome.',
      labels: { outcome: OUTCOMES.map((outcome) => outcome.name) },
      registers,
    }),
    frames: new Counter({
      name: 'teranode_p2p_publisher_frames_total',
      help: 'Frames numbered.',
      registers,
    }),
    batchSeconds: new Histogram({
      name: 'teranode_p2p_publisher_batch_seconds',
      help: 'Time of a batch in the publisher, from task to verdicts.',
      buckets: BUCKETS,
      registers,
    }),
    writeSeconds: new Histogram({
      name: 'teranode_p2p_outbox_write_seconds',
      help: 'Time of a batch’s write into the outbox.',
      buckets: BUCKETS,
      registers,
    }),
    storedSeconds: new Histogram({
      name: 'teranode_p2p_publisher_stored_seconds',
      help: 'Time from the receipt of a message until it is safe in the outbox; the oldest of each batch.',
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10],
      registers,
    }),
    repeats: new Gauge({
      name: 'teranode_p2p_repeats_remembered',
      help: 'Announcements whose repeats are recognised.',
      registers,
    }),
    announcers: new Gauge({
      name: 'teranode_p2p_announcers_remembered',
      help: 'Announcements of blocks and subtrees whose announcer is remembered, should they be found invalid.',
      registers,
    }),
    blockFound: zeroedCounter({
      name: 'teranode_p2p_block_found_total',
      help: 'BlockFound calls by outcome: told, failed or given_up.',
      labels: { outcome: ['told', 'failed', 'given_up'] },
      registers,
    }),
    blockFoundWaiting: new Gauge({
      name: 'teranode_p2p_block_found_waiting',
      help: 'BlockFound calls that wait for their turn.',
      registers,
    }),
    notified: zeroedCounter({
      name: 'teranode_p2p_notifications_records_total',
      help: 'Frames for the notifications topic by outcome: acknowledged or lost.',
      labels: { outcome: ['acknowledged', 'lost'] },
      registers,
    }),
  };
}

export type PublisherMetrics = ReturnType<typeof createPublisherMetrics>;
