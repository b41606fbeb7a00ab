import { Counter, Gauge, type Registry } from 'prom-client';

/** The publisher's side of the frame stream. */
export function createFrameStreamMetrics(registry: Registry) {
  const registers = [registry];
  return {
    readers: new Gauge({
      name: 'teranode_p2p_frame_stream_readers',
      help: 'Notification servers reading frames.',
      registers,
    }),
    lags: new Counter({
      name: 'teranode_p2p_frame_stream_lags_total',
      help: 'Times a notification server did not keep up, and read on in the journal.',
      registers,
    }),
  };
}

export type FrameStreamMetrics = ReturnType<typeof createFrameStreamMetrics>;
