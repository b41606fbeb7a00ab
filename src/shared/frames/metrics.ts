import { Counter, Gauge, type Registry } from 'prom-client';

/** The publisher's side of the frame stream. */
export function createFrameStreamMetrics(registry: Registry) {
  const registers = [registry];
  return {
    ringFrames: new Gauge({
      name: 'teranode_p2p_frame_ring_frames',
      help: 'Frames kept for notification servers that resume.',
      registers,
    }),
    ringBytes: new Gauge({
      name: 'teranode_p2p_frame_ring_bytes',
      help: 'Bytes of the frames kept.',
      registers,
    }),
    readers: new Gauge({
      name: 'teranode_p2p_frame_stream_readers',
      help: 'Notification servers reading frames.',
      registers,
    }),
    gaps: new Counter({
      name: 'teranode_p2p_frame_stream_gaps_total',
      help: 'Times a notification server was told that frames it needs are gone.',
      registers,
    }),
  };
}

export type FrameStreamMetrics = ReturnType<typeof createFrameStreamMetrics>;
