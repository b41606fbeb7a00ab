/** Threads, processes, heaps and queues of this server, and its journal. */

import type { Setting } from '../setting.js';
import { duration, flag, integer } from '../values/basic.js';

const SECOND = 1000;

export const WORK = {
  p2p_checkers: integer(0, 'Checker threads; 0: cores less one, at least 2 (this server).', {
    min: 0,
    max: 64,
  }),
  p2p_inline_checks: flag(
    true,
    'While little comes, messages of at most 2 KiB are verified and checked by main instead of a checker thread (this server).',
  ),
  p2p_notification_servers: integer(1, 'Notification server processes on one port (this server).', {
    min: 1,
    max: 64,
  }),
  p2p_heap_checker: integer(
    256,
    'MiB of heap of a checker, which has a batch of 1 MiB at a time: a message that takes more ends its thread and itself alone (this server).',
    { min: 64 },
  ),
  p2p_heap_publisher: integer(
    1024,
    'MiB of heap of the publisher, for half a million repeats, the announcers of the last ten minutes and what is on its way to Kafka (this server).',
    { min: 256 },
  ),
  p2p_heap_broker: integer(
    512,
    'MiB of heap of the embedded broker, for a million records; their 64 MiB of bytes lie besides (this server).',
    { min: 64 },
  ),
  p2p_heap_notification_server: integer(
    512,
    'MiB of heap of a notification server, for some 10,000 clients; what waits for slow clients lies besides. Of main, which has no limit of its own: NODE_OPTIONS=--max-old-space-size (this server).',
    { min: 64 },
  ),
  p2p_queue_bytes: integer(67_108_864, 'Bytes of gossip waiting for a checker (this server).', {
    min: 1_048_576,
  }),
  p2p_outbox_max: integer(
    1_000_000,
    'Announcements the outbox holds for each topic, the last tenth not strangers’; past it readiness fails and new ones for that topic are refused (this server).',
    { min: 1 },
  ),
  p2p_outbox_fsync: flag(false, 'Outbox survives power loss too (this server).'),
  p2p_feed_retention: duration(
    24 * 3600 * SECOND,
    'Age from which on the oldest of the journal goes, an hour’s worth at a time; what Kafka does not have stays (this server).',
    SECOND,
  ),
  p2p_feed_retention_bytes: integer(
    2_147_483_648,
    'Bytes of the journal from which on the oldest of it goes, 64 MiB at a time; what Kafka does not have stays (this server).',
    { min: 1_048_576 },
  ),
  p2p_feed_archive: flag(
    true,
    'What the journal keeps is archived in compressed files for whoever fetches it in bulk, segment by segment, by a process of the lowest priority (this server).',
  ),
} as const satisfies Record<string, Setting>;
