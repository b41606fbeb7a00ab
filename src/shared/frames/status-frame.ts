import type { Frame } from './types.js';

/** Whether this is the frame with which a client is greeted: the node's own `node_status`. */
export function isOwnNodeStatus(frame: Frame): boolean {
  if (!frame.own) return false;
  try {
    const message: unknown = JSON.parse(Buffer.from(frame.json).toString());
    return (
      typeof message === 'object' && message !== null && 'type' in message && message.type === 'node_status'
    );
  } catch {
    return false;
  }
}
